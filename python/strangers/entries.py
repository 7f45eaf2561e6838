"""Entries of an access log with their labels, and the lines that tell of them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any, Iterable, NamedTuple

TELLINGS = ("full", "lean")
"""How much a log says; what is left out of a lean one differs between web sites and API systems."""


class Entry(NamedTuple):
    """One request with its answer, and the truth about who sent it."""

    at: float
    """Seconds since the log's beginning."""
    fields: dict[str, Any]
    """What a full log says of it, the time aside."""
    kind: str
    actor: str
    abusive: bool


class Line(NamedTuple):
    """An entry as it is written, with its label but without the number of the line."""

    at: float
    text: str
    label: str


def written(entries: Iterable[Entry], start: datetime, hidden: frozenset[str] = frozenset()) -> list[Line]:
    """The lines of entries, in order of time, without the fields that are hidden."""
    lines = []
    begin = start.timestamp()
    for entry in sorted(entries, key=lambda entry: entry.at):
        when = datetime.fromtimestamp(begin + entry.at, timezone.utc)
        told: dict[str, Any] = {"time": when.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"}
        told.update((name, value) for name, value in entry.fields.items() if name not in hidden)
        label = f"{entry.actor},{entry.kind},{'true' if entry.abusive else 'false'}"
        lines.append(Line(entry.at, json.dumps(told), label))
    return lines


def merged(*parts: list[Line]) -> list[Line]:
    """The lines of several parts in order of time."""
    return sorted((line for part in parts for line in part), key=lambda line: line.at)


def files(lines: list[Line]) -> tuple[bytes, bytes]:
    """The log and its labels, as `tidegate replay` reads them."""
    log = "".join(f"{line.text}\n" for line in lines)
    labels = "".join(f"{number},{line.label}\n" for number, line in enumerate(lines, 1))
    return log.encode(), f"line,actor,family,abusive\n{labels}".encode()
