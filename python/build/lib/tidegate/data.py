"""Rows as `tidegate export-features` writes them, and how they are split without a leak."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

FEATURES = 64
"""How many features a row has."""

SCHEMA_KEY = "tidegate.schema"
_OTHERS = ("label", "weight", "client", "group", "sequence", "time")


@dataclass(frozen=True)
class Rows:
    """Labelled requests in columns of equal length, client by client and in order within each."""

    schema: int
    """The version of the feature schema."""
    names: tuple[str, ...]
    """The features, in the order of the columns of `x`."""
    x: NDArray[np.float32]
    """Features, [n, 64]."""
    y: NDArray[np.int64]
    """1 for abuse, 0 for what is none, [n]."""
    weight: NDArray[np.float32]
    """How much each row counts, [n]."""
    client: NDArray[np.int64]
    """A hash of the client, [n]."""
    group: NDArray[np.int64]
    """What must stay on one side of a split, [n]: the simulated site, or the client of a log."""
    sequence: NDArray[np.int64]
    """Which of the client's requests it is, from 0, [n]."""

    def __len__(self) -> int:
        return len(self.y)

    def take(self, where: NDArray[np.bool_]) -> Rows:
        """The rows for which `where` holds."""
        columns = {
            f.name: getattr(self, f.name)[where] for f in fields(self) if f.name not in ("schema", "names")
        }
        return Rows(schema=self.schema, names=self.names, **columns)


def read(path: str) -> Rows:
    """Reads an export; rows without a label are left out.

    Raises `ValueError` when the file is none, or holds features that are not numbers.
    """
    table = pq.read_table(path)
    version = (table.schema.metadata or {}).get(SCHEMA_KEY.encode())
    if version is None:
        raise ValueError(f"{path} has no {SCHEMA_KEY}: write it with `tidegate export-features`")
    names = tuple(name for name in table.column_names if name not in _OTHERS)
    if len(names) != FEATURES:
        raise ValueError(f"{path} has {len(names)} features and not {FEATURES}")
    missing = [name for name in _OTHERS if name not in table.column_names]
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}")
    table = table.filter(table["label"].is_valid())
    if table.num_rows == 0:
        raise ValueError(f"{path} has no labelled rows: export with --simulate or with --labels")

    def column(name: str) -> NDArray[np.int64]:
        return table[name].to_numpy().astype(np.int64)

    x = np.empty((table.num_rows, FEATURES), dtype=np.float32)
    for i, name in enumerate(names):
        x[:, i] = table[name].to_numpy()
    if not np.isfinite(x).all():
        raise ValueError(f"{path} holds features that are not finite")
    rows = Rows(
        schema=int(version),
        names=names,
        x=x,
        y=column("label"),
        weight=table["weight"].to_numpy().astype(np.float32),
        client=column("client"),
        group=column("group"),
        sequence=column("sequence"),
    )
    order = np.lexsort((rows.sequence, rows.client, rows.group))
    return rows.take(order)  # type: ignore[arg-type]


def split(rows: Rows, share: float, seed: int = 1) -> tuple[Rows, Rows]:
    """Splits into (rest, held out) by group, with about `share` of the groups held out.

    Rows of one client or one site resemble each other: were they on both sides, the held-out
    figures would be those of memory.
    """
    groups = np.unique(rows.group)
    held = np.random.default_rng(seed).permutation(groups)[: max(1, round(len(groups) * share))]
    out = np.isin(rows.group, held)
    for part, name in ((rows.y[~out], "rest"), (rows.y[out], "held-out")):
        if len(np.unique(part)) < 2:
            raise ValueError(f"the {name} rows are not of both labels: export more of them")
    return rows.take(~out), rows.take(out)


def windows(rows: Rows, steps: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The latest `steps` requests of a client, oldest first, for every row that has them.

    Returns (windows [m, steps, 64], positions of their last rows in `rows` [m]). Where a client
    has not sent as many yet, rows of zeros stand in front, as Tidegate puts them when it serves.
    """
    n = len(rows)
    follows = np.zeros(n, dtype=bool)
    follows[1:] = (
        (rows.group[1:] == rows.group[:-1])
        & (rows.client[1:] == rows.client[:-1])
        & (rows.sequence[1:] == rows.sequence[:-1] + 1)
    )
    at = np.arange(n)
    begin = np.maximum.accumulate(np.where(follows, 0, at))
    have = at - begin + 1
    last = np.flatnonzero((have >= steps) | (rows.sequence[begin] == 0))
    out = np.zeros((len(last), steps, FEATURES), dtype=np.float32)
    for back in range(steps):
        there = have[last] > back
        out[there, steps - 1 - back] = rows.x[last[there] - back]
    return out, last
