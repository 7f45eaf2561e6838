"""Judges decisions on traffic of another author: `python3 -m foreign --tidegate PROGRAM`, in python/."""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from .attacks import ATTACKS
from .cases import SITES, assault, background, case, digest, written
from .judge import Verdict, decide, judge, signed, summed, table
from .telling import TELLINGS


def judged(site: str, attacks: list[str], options: argparse.Namespace) -> list[tuple[Verdict, str]]:
    """The verdicts on some attacks on a site, whose harmless traffic is made once for them all."""
    place = SITES[site]
    harmless = written(background(place, options.seed, options.minutes), options.telling)
    found = []
    for attack in attacks:
        abusive = written(assault(place, attack, options.seed, options.minutes), options.telling)
        made = case(place, attack, harmless, abusive)
        found.append((decide(made, options.tidegate, options.model, options.keep), digest(made)))
    return found


def choices(text: str, known: Any, what: str) -> list[str]:
    """The names of a list with commas; all when it is empty."""
    names = [name for name in text.split(",") if name] or list(known)
    for name in names:
        if name not in known:
            sys.exit(f"there is no {what} {name!r}; there are {', '.join(known)}")
    return names


def main() -> None:
    """Reads the options, judges, and prints."""
    parser = argparse.ArgumentParser(prog="python3 -m foreign", description=__doc__)
    parser.add_argument("--tidegate", required=True, help="the program")
    parser.add_argument("--seed", type=int, default=1, help="draws everybody (default: %(default)s)")
    parser.add_argument("--only", default="", help="these sites alone, with commas between them")
    parser.add_argument("--attacks", default="", help="these attacks alone, with commas between them")
    parser.add_argument("--minutes", type=float, default=40, help="minutes of each log (default: %(default)s)")
    parser.add_argument("--model", help="another model than the built-in one")
    parser.add_argument(
        "--telling", choices=TELLINGS, default="all", help="how much the log says (default: %(default)s)"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep logs, labels and reports here")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything here as JSON")
    parser.add_argument("--brief", action="store_true", help="print no row for each case")
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time (default: %(default)s)")
    options = parser.parse_args()

    attacks = choices(options.attacks, ATTACKS, "attack")
    work = {
        name: [attack for attack in SITES[name].attacks if attack in attacks]
        for name in choices(options.only, SITES, "site")
    }
    work = {name: chosen for name, chosen in work.items() if chosen}
    if not work:
        sys.exit("none of these sites has one of these attacks")
    try:
        used = judge(options.tidegate, options.model)
    except (OSError, RuntimeError) as error:
        sys.exit(str(error))
    # The longest first, so that no job is left with it at the end.
    order = sorted(work, key=lambda name: -len(work[name]))
    with ProcessPoolExecutor(options.jobs) as pool:
        jobs = {name: pool.submit(judged, name, work[name], options) for name in order}
        found = [pair for name in work for pair in jobs[name].result()]
    results = summed([verdict for verdict, _ in found]) | used
    results["options"] = {"seed": options.seed, "minutes": options.minutes, "telling": options.telling}
    for row, (_, sum_) in zip(results["cases"], found):
        row["digest"] = sum_
    print(table(results, options.brief))
    print(signed(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
