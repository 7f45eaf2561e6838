"""Has the program decide cases, and sums up what it did with whom."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import fmean, median
from typing import Any, Iterable

from .attacks import ATTACKS
from .cases import Case


@dataclass(frozen=True)
class Kind:
    """What happened to one kind of harmless client in a case."""

    clients: int
    harmed: int
    """Those of whom more than 2 % of the requests were denied."""
    requests: int
    denied: int


@dataclass(frozen=True)
class Verdict:
    """What was decided in a case."""

    site: str
    attack: str
    abusive: int
    denied: int
    first: float | None
    """Requests of an abusive source until its first denial, the median over those ever denied."""
    sources: int
    kinds: dict[str, Kind]
    """Harmless clients by kind."""

    @property
    def share(self) -> float:
        """The share of abusive requests that were denied, in per cent."""
        return 100 * self.denied / self.abusive if self.abusive else 0.0


def judge(tidegate: str, model: str | None) -> dict[str, Any]:
    """What judges, so that two runs can be told apart: the program and the model, by name, version and sum.

    Raises `OSError` when one of them is not there, and `RuntimeError` when the program does not tell its version.
    """
    program = shutil.which(tidegate)
    if program is None:
        raise FileNotFoundError(f"there is no program {tidegate}")
    done = subprocess.run([program, "--version"], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{tidegate} --version: {done.stderr.strip()}")
    return {
        "program": {"version": done.stdout.strip(), "sha256": _sum(Path(program))},
        "model": {"name": Path(model).name, "sha256": _sum(Path(model))} if model
        else {"name": "built in", "sha256": None},
    }


def _sum(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


def replay(name: str, log: bytes, labels: bytes, tidegate: str, model: str | None, folder: Path) -> dict[str, Any]:
    """What `tidegate replay` reports of a log, which is left in the folder with its labels.

    Raises `RuntimeError` with the name and what the program said when it fails.
    """
    files = folder / "traffic.jsonl", folder / "labels.csv"
    for file, content in zip(files, (log, labels)):
        file.write_bytes(content)
    command = [tidegate, "replay", str(files[0]), "--format", "json", "--labels", str(files[1]), "--json"]
    if model:
        command += ["--model", model]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{name}: {done.stderr.strip() or done.stdout[-500:]}")
    return json.loads(done.stdout)


def decide(case: Case, tidegate: str, model: str | None = None, keep: Path | None = None) -> Verdict:
    """Runs `tidegate replay` on a case.

    Raises `RuntimeError` with what the program said when it fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = keep / f"{case.site.name}-{case.attack}" if keep else Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{case.site.name}, {case.attack}"
        report = replay(name, case.log, case.labels, tidegate, model, folder)
        if keep:
            (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    return read(case, report)


def read(case: Case, report: dict[str, Any]) -> Verdict:
    """The verdict of a report of `replay`.

    Raises `RuntimeError` when lines were lost on the way: figures would be of something else then.
    """
    families = report["labels"]["families"]
    abusive = [row for row in families if row["abusive"]]
    harmless = {
        row["family"]: Kind(row["actors"], row["harmed"], row["requests"], row["denied"])
        for row in families
        if not row["abusive"]
    }
    told = sum(row["requests"] for row in families)
    if told != case.abusive + case.harmless:
        raise RuntimeError(f"{case.site.name}, {case.attack}: {told} labelled requests came back, not all")
    return Verdict(
        site=case.site.name,
        attack=case.attack,
        abusive=sum(row["requests"] for row in abusive),
        denied=sum(row["denied"] for row in abusive),
        first=next((row["median_first_denial"] for row in abusive), None),
        sources=sum(row["actors"] for row in abusive),
        kinds=harmless,
    )


def summed(verdicts: list[Verdict]) -> dict[str, Any]:
    """Everything that is printed, as plain values.

    Raises `ValueError` when there is nothing to sum up.
    """
    if not verdicts:
        raise ValueError("there are no verdicts to sum up")
    sites = _means(verdicts, lambda v: v.site)
    kinds = _kinds(verdicts)
    return {
        "cases": [
            {"site": v.site, "attack": v.attack, "abusive": v.abusive, "sources": v.sources, "denied": v.denied,
             "denied_pct": v.share, "first": v.first} | _harm([v])
            for v in verdicts
        ],
        "attacks": [row | {"rate": ATTACKS[row["name"]].rate} for row in _means(verdicts, lambda v: v.attack)],
        "sites": sites,
        "kinds": kinds,
        "overall": {
            "cases": len(verdicts),
            "sites": len(sites),
            "mean_denied_pct": fmean(v.share for v in verdicts),
            "median_denied_pct": median(v.share for v in verdicts),
            "mean_denied_pct_over_sites": fmean(row["denied_pct"] for row in sites),
            "abusive_requests": sum(v.abusive for v in verdicts),
            "harmless_clients": sum(row["clients"] for row in kinds),
            "harmless_client_cases": sum(row["client_cases"] for row in kinds),
            "harmless_client_cases_harmed": sum(row["harmed"] for row in kinds),
            "harmless_requests": sum(row["requests"] for row in kinds),
            "harmless_requests_judged": sum(row["requests_judged"] for row in kinds),
            "harmless_requests_denied": sum(row["denied"] for row in kinds),
        } | _harm(verdicts),
    }


def pct(part: int, whole: int) -> float:
    """A share in per cent; 0 of nothing."""
    return 100 * part / whole if whole else 0.0


def _kinds(verdicts: list[Verdict]) -> list[dict[str, Any]]:
    """What happened to each kind of harmless client of each site, the worst first. In all cases of a site they are
    the same clients with the same requests, judged anew in each."""
    groups: dict[tuple[str, str], list[Kind]] = defaultdict(list)
    for verdict in verdicts:
        for name, kind in verdict.kinds.items():
            groups[verdict.site, name].append(kind)
    rows = []
    for (site, name), group in groups.items():
        cases, seen = sum(kind.clients for kind in group), sum(kind.requests for kind in group)
        harmed, denied = sum(kind.harmed for kind in group), sum(kind.denied for kind in group)
        rows.append({
            "site": site, "kind": name, "clients": max(kind.clients for kind in group), "client_cases": cases,
            "harmed": harmed, "harmed_pct": pct(harmed, cases), "requests": max(kind.requests for kind in group),
            "requests_judged": seen, "denied": denied, "denied_pct": pct(denied, seen),
        })
    return sorted(rows, key=lambda row: (-row["harmed_pct"], -row["denied"], row["site"], row["kind"]))


def _harm(verdicts: Iterable[Verdict]) -> dict[str, float]:
    """Harm is pooled over the cases of each site, and then averaged over sites, so that a site that lists many
    attacks counts no more than the others."""
    groups: dict[str, list[Kind]] = defaultdict(list)
    for verdict in verdicts:
        groups[verdict.site] += verdict.kinds.values()
    return {
        "harmless_denied_pct": fmean(
            pct(sum(k.denied for k in kinds), sum(k.requests for k in kinds)) for kinds in groups.values()
        ),
        "harmed_pct": fmean(
            pct(sum(k.harmed for k in kinds), sum(k.clients for k in kinds)) for kinds in groups.values()
        ),
    }


def _means(verdicts: list[Verdict], by: Any) -> list[dict[str, Any]]:
    groups: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        groups[by(verdict)].append(verdict)
    rows = [
        {"name": name, "cases": len(group), "denied_pct": fmean(v.share for v in group),
         "least_pct": min(v.share for v in group)} | _harm(group)
        for name, group in groups.items()
    ]
    return sorted(rows, key=lambda row: row["denied_pct"])


def table(results: dict[str, Any], brief: bool = False, worst: int = 25) -> str:
    """The same for people, in brief without a row for each case."""
    lines = [
        "denied %: of the abusive requests of a case, the mean over cases; least %: in the worst case.",
        "harm %: of the harmless requests, those denied; harmed %: of the harmless clients, those of whose requests",
        "more than 2 % were denied. Both are pooled over the cases of a site, and the mean over sites.",
        "",
    ]
    if not brief:
        lines.append(
            f"{'site':<9} {'attack':<22} {'requests':>8} {'sources':>7} {'denied %':>8} {'first':>6} {'harm %':>7} "
            f"{'harmed %':>8}"
        )
        for row in results["cases"]:
            first = "-" if row["first"] is None else f"{row['first']:.0f}"
            lines.append(
                f"{row['site']:<9} {row['attack']:<22} {row['abusive']:>8} {row['sources']:>7} "
                f"{row['denied_pct']:>8.1f} {first:>6} {row['harmless_denied_pct']:>7.3f} {row['harmed_pct']:>8.2f}"
            )
        lines.append("")
    for what in ("attacks", "sites"):
        lines.append(f"{what[:-1]:<22} {'cases':>5} {'denied %':>8} {'least %':>8} {'harm %':>7} {'harmed %':>8}")
        lines += [
            f"{row['name']:<22} {row['cases']:>5} {row['denied_pct']:>8.1f} {row['least_pct']:>8.1f} "
            f"{row['harmless_denied_pct']:>7.3f} {row['harmed_pct']:>8.2f}"
            for row in results[what]
        ]
        lines.append("")
    hurt = [row for row in results["kinds"] if row["denied"]]
    lines += [
        f"The {min(worst, len(hurt))} harmless kinds that suffered most, of {len(results['kinds'])}. The same clients "
        "come in each case of their",
        "site; the shares are of all cases.",
        "",
        f"{'harmless kind':<18} {'site':<9} {'clients':>7} {'harmed %':>8} {'requests':>8} {'denied %':>8}",
    ]
    lines += [
        f"{row['kind']:<18} {row['site']:<9} {row['clients']:>7} {row['harmed_pct']:>8.2f} {row['requests']:>8} "
        f"{row['denied_pct']:>8.3f}"
        for row in hurt[:worst]
    ]
    all_ = results["overall"]
    lines += [
        "",
        f"{all_['cases']} cases on {all_['sites']} sites",
        f"abusive requests denied: {all_['mean_denied_pct']:.1f} % (mean over cases; median "
        f"{all_['median_denied_pct']:.1f} %), {all_['mean_denied_pct_over_sites']:.1f} % (mean over sites of the mean "
        "over their cases)",
        f"harmless requests denied: {all_['harmless_denied_pct']:.3f} % (pooled over the cases of each site, then the "
        "mean over sites)",
        f"    {all_['harmless_requests']} distinct requests, judged once per attack on their site: "
        f"{all_['harmless_requests_denied']} of {all_['harmless_requests_judged']} denied",
        f"harmless clients harmed: {all_['harmed_pct']:.2f} % (likewise)",
        f"    {all_['harmless_clients']} distinct clients, judged once per attack on their site: "
        f"{all_['harmless_client_cases_harmed']} of {all_['harmless_client_cases']} client-cases harmed",
    ]
    return "\n".join(lines)


def signed(results: dict[str, Any]) -> str:
    """A line that says what was judged, and with which options."""
    program, model, options = results["program"], results["model"], results["options"]
    named = model["name"] + (f" (SHA-256 {model['sha256'][:12]})" if model["sha256"] else "")
    return (
        f"{program['version']} (SHA-256 {program['sha256'][:12]}), model {named}, seed {options['seed']}, "
        f"{options['minutes']:g} minutes, telling {options['telling']}"
    )
