"""Judges decisions on traffic of two strangers: `python3 -m strangers --tidegate PROGRAM`, in python/."""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from foreign.__main__ import choices
from foreign.judge import judge

from .cases import WORLDS, attack_names, logs
from .entries import TELLINGS
from .judge import Verdict, decide
from .tables import summed, table


def judged(site: str, wanted: list[str], options: argparse.Namespace) -> list[Verdict]:
    """The verdicts on the logs of a site."""
    return [
        decide(site, attacks, lines, options.tidegate, options.model)
        for attacks, lines in logs(site, options.seed, options.telling, wanted)
    ]


def main() -> None:
    """Reads the options, judges, and prints."""
    parser = argparse.ArgumentParser(prog="python3 -m strangers", description=__doc__)
    parser.add_argument("--tidegate", required=True, help="the program")
    parser.add_argument("--model", help="another model than the built-in one")
    parser.add_argument("--seed", type=int, default=1, help="draws everybody (default: %(default)s)")
    parser.add_argument("--only", default="", help="these sites alone, with commas between them")
    parser.add_argument("--attacks", default="", help="these attacks alone, with commas between them")
    parser.add_argument(
        "--telling", choices=TELLINGS, default="full", help="how much the logs say (default: %(default)s)"
    )
    parser.add_argument("--brief", action="store_true", help="print no harmless kinds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything here as JSON")
    parser.add_argument("--jobs", type=int, default=2, help="sites at a time (default: %(default)s)")
    options = parser.parse_args()

    sites = choices(options.only, WORLDS, "site")
    wanted = choices(options.attacks, attack_names(), "attack")
    try:
        used = judge(options.tidegate, options.model)
    except (OSError, RuntimeError) as error:
        sys.exit(str(error))
    with ProcessPoolExecutor(options.jobs) as pool:
        jobs = [pool.submit(judged, site, wanted, options) for site in sites]
        verdicts = [verdict for job in jobs for verdict in job.result()]
    results = summed(verdicts) | used
    results["options"] = {"seed": options.seed, "telling": options.telling}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results, options.brief))


if __name__ == "__main__":
    main()
