"""Sums up verdicts, and prints them for people."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean
from typing import Any, Iterable

from foreign.judge import pct

from .judge import Kind, Verdict


def _mean(values: Iterable[float | None]) -> float | None:
    """The mean of those values that there are; none of none."""
    found = [value for value in values if value is not None]
    return fmean(found) if found else None


def _told(value: float | None, width: int, digits: int) -> str:
    """A value in a table."""
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.{digits}f}"


def _harm(kinds: Iterable[Kind]) -> dict[str, Any]:
    """What happened to harmless clients, pooled."""
    kinds = list(kinds)
    if not kinds:
        return {"clients": 0, "requests": 0, "denied_pct": None, "harmed_pct": None}
    return {
        "clients": sum(kind.clients for kind in kinds),
        "requests": sum(kind.requests for kind in kinds),
        "denied_pct": pct(sum(kind.denied for kind in kinds), sum(kind.requests for kind in kinds)),
        "harmed_pct": pct(sum(kind.harmed for kind in kinds), sum(kind.clients for kind in kinds)),
    }


def _site(name: str, verdicts: list[Verdict]) -> dict[str, Any]:
    """A site's row, with its harmless clients without an attack and while attacked."""
    return {
        "name": name,
        "quiet": _harm(kind for verdict in verdicts if not verdict.attacks for kind in verdict.harmless),
        "attacked": _harm(kind for verdict in verdicts if verdict.attacks for kind in verdict.harmless),
        "logs_attacked": sum(bool(verdict.attacks) for verdict in verdicts),
    }


def _kinds(verdicts: list[Verdict]) -> list[dict[str, Any]]:
    """What happened to each harmless kind of each site, the worst first."""
    groups: dict[tuple[str, str], tuple[list[Kind], list[Kind]]] = defaultdict(lambda: ([], []))
    for verdict in verdicts:
        for kind in verdict.harmless:
            groups[verdict.site, kind.name][bool(verdict.attacks)].append(kind)
    rows: list[dict[str, Any]] = [
        {"site": site, "kind": name, "quiet": _harm(quiet), "attacked": _harm(attacked)}
        for (site, name), (quiet, attacked) in groups.items()
    ]

    def suffered(row: dict[str, Any]) -> float:
        return sum(row[when]["requests"] * (row[when]["denied_pct"] or 0) for when in ("quiet", "attacked"))

    return sorted(rows, key=lambda row: -suffered(row))


def summed(verdicts: list[Verdict]) -> dict[str, Any]:
    """Everything that is printed, as plain values."""
    groups: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        groups[verdict.site].append(verdict)
    attacks: list[dict[str, Any]] = [
        {"site": verdict.site, "attack": kind.name, "sources": kind.clients, "requests": kind.requests,
         "denied": kind.denied, "denied_pct": pct(kind.denied, kind.requests)}
        for verdict in verdicts for name in verdict.attacks for kind in verdict.kinds
        if kind.abusive and kind.name == name
    ]
    sites = [_site(name, group) for name, group in groups.items()]
    return {
        "sites": sites,
        "attacks": attacks,
        "kinds": _kinds(verdicts),
        "overall": {
            "sites": len(sites),
            "attacks": len(attacks),
            "abuse_denied_pct": _mean(row["denied_pct"] for row in attacks),
            "harmless_denied_pct": _mean(row["quiet"]["denied_pct"] for row in sites),
            "harmless_harmed_pct": _mean(row["quiet"]["harmed_pct"] for row in sites),
            "harmless_denied_attacked_pct": _mean(row["attacked"]["denied_pct"] for row in sites),
            "harmless_harmed_attacked_pct": _mean(row["attacked"]["harmed_pct"] for row in sites),
        },
    }


def table(results: dict[str, Any], brief: bool = False, worst: int = 40) -> str:
    """The same for people; in brief without the harmless kinds."""
    lines = [
        "denied %: of the requests; harmed %: of the harmless clients, those of whose requests more than 2 % "
        "were denied.",
        "",
        f"{'':<6} {'without attack':>25} {'while attacked':>17}",
        f"{'site':<6} {'clients':>7} {'denied %':>8} {'harmed %':>8} "
        f"{'denied %':>8} {'harmed %':>8} {'logs':>4}",
    ]
    lines += [
        f"{row['name']:<6} {row['quiet']['clients']:>7} {row['quiet']['denied_pct']:>8.3f} "
        f"{row['quiet']['harmed_pct']:>8.2f} "
        f"{_told(row['attacked']['denied_pct'], 8, 3)} {_told(row['attacked']['harmed_pct'], 8, 2)} "
        f"{row['logs_attacked']:>4}"
        for row in results["sites"]
    ]
    lines += ["", f"{'site':<6} {'attack':<29} {'sources':>7} {'requests':>8} {'denied %':>8}"]
    lines += [
        f"{row['site']:<6} {row['attack']:<29} {row['sources']:>7} {row['requests']:>8} "
        f"{row['denied_pct']:>8.2f}"
        for row in results["attacks"]
    ]
    if not brief:
        hurt = [
            row for row in results["kinds"] if row["quiet"]["denied_pct"] or row["attacked"]["denied_pct"]
        ]
        lines += [
            "",
            f"The {min(worst, len(hurt))} harmless kinds that suffered most, of {len(results['kinds'])}:",
            f"{'':<30} {'without attack':>34} {'while attacked':>17}",
            f"{'site':<6} {'kind':<23} {'clients':>7} {'requests':>8} {'denied %':>8} {'harmed %':>8} "
            f"{'denied %':>8} {'harmed %':>8}",
        ]
        lines += [
            f"{row['site']:<6} {row['kind']:<23} {row['quiet']['clients']:>7} {row['quiet']['requests']:>8} "
            f"{row['quiet']['denied_pct']:>8.2f} {row['quiet']['harmed_pct']:>8.2f} "
            f"{_told(row['attacked']['denied_pct'], 8, 2)} {_told(row['attacked']['harmed_pct'], 8, 2)}"
            for row in hurt[:worst]
        ]
    whole = results["overall"]
    lines += [
        "",
        f"overall: abuse denied {_told(whole['abuse_denied_pct'], 0, 2)} % (mean over {whole['attacks']} "
        f"attacks), harmless denied {whole['harmless_denied_pct']:.3f} % (mean over {whole['sites']} sites, "
        "without attack)",
    ]
    return "\n".join(lines)
