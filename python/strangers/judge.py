"""Has the program decide logs, and reads what it did with whom."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foreign.judge import replay

from .entries import Line, files


@dataclass(frozen=True)
class Kind:
    """What happened to one kind of client in a log."""

    name: str
    abusive: bool
    clients: int
    harmed: int
    """Those of whom more than 2 % of the requests were denied."""
    requests: int
    denied: int


@dataclass(frozen=True)
class Verdict:
    """What was decided on a log."""

    site: str
    attacks: list[str]
    kinds: list[Kind]

    @property
    def harmless(self) -> list[Kind]:
        """The kinds of harmless clients."""
        return [kind for kind in self.kinds if not kind.abusive]


def decide(
    site: str, attacks: list[str], lines: list[Line], tidegate: str, model: str | None = None
) -> Verdict:
    """Runs `tidegate replay` on a log, which is deleted afterwards.

    Raises `RuntimeError` with what the program said when it fails.
    """
    name = ", ".join([site] + attacks)
    with tempfile.TemporaryDirectory(prefix="strangers-") as scratch:
        report = replay(name, *files(lines), tidegate, model, Path(scratch))
    verdict = Verdict(site, attacks, kinds_of(report))
    told = sum(kind.requests for kind in verdict.kinds)
    if told != len(lines):
        raise RuntimeError(f"{name}: {told} labelled requests of {len(lines)} came back")
    return verdict


def kinds_of(report: dict[str, Any]) -> list[Kind]:
    """The kinds of clients in a report of `replay --labels`."""
    return [
        Kind(row["family"], row["abusive"], row["actors"], row["harmed"], row["requests"], row["denied"])
        for row in report["labels"]["families"]
    ]
