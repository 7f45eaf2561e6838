"""Dull worlds: logs as somebody makes them up in ten minutes to try a limiter; `python3 -m foreign.dull`, in python/.

Clients ask at moments of their own for some of a few paths. Nothing of a visit is in it: no pages with their
files, no sessions, and hardly a referer. What has so little of what people do must not be taken for an attack.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean
from typing import Any, Callable, NamedTuple

from .judge import judge, pct, replay

LENGTH = 1200.0
"""Seconds of each log."""
START = 1_772_618_400.0
MOST = 60_000
"""Harmless requests of a log, about, at most."""

AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "okhttp/4.12.0",
    "python-requests/2.31.0",
    "PostmanRuntime/7.37.3",
)
WORDS = ("items", "products", "users", "orders", "search", "cart", "posts", "comments", "profile", "home", "about", "list")
PROBED = ("/wp-admin", "/.env", "/phpmyadmin", "/admin", "/.git/config", "/backup.zip")


class Line(NamedTuple):
    """One request and who sent it."""

    at: float
    client: str
    method: str
    path: str
    status: int
    agent: str
    attack: str
    """Empty for what is harmless."""
    size: int
    referer: str


class World:
    """A log that is being made up."""

    def __init__(self, number: int) -> None:
        self.dice = random.Random(number)
        self.lines: list[Line] = []
        dice = self.dice
        self.prefix = "/api/v1/" if dice.random() < 0.5 else "/"
        self.paths = [
            self.prefix + dice.choice(WORDS) + (f"/{dice.randrange(1, 2000)}" if dice.random() < 0.6 else "")
            for _ in range(int(self.spread(3, 300)))
        ]
        self.referer = "https://x.example/" if dice.random() < 0.3 else ""
        self.agent = dice.choice(AGENTS)

    def spread(self, low: float, high: float) -> float:
        """A number of this range whose logarithm is as likely anywhere."""
        return math.exp(self.dice.uniform(math.log(low), math.log(high)))

    def address(self) -> str:
        """Any address of the internet."""
        dice = self.dice
        return f"{dice.randrange(11, 198)}.{dice.randrange(256)}.{dice.randrange(256)}.{dice.randrange(1, 255)}"

    def send(self, at: float, client: str, call: str, status: int, agent: str, attack: str = "") -> None:
        """Writes one line, if it is within the log."""
        if 0 <= at < LENGTH:
            method, path = call.split(" ")
            referer = "" if attack else self.referer
            size = self.dice.randrange(200, 20_000)
            self.lines.append(Line(at, client, method, path, status, agent, attack, size, referer))

    def users(self) -> None:
        """Everybody who means no harm."""
        dice = self.dice
        clients = int(self.spread(3, 1500))
        rate = min(self.spread(1, 40) / 60, MOST / LENGTH / clients)
        shown = dice.choice(("one", "five", "own", "library", "none"))
        skewed = dice.random() < 0.5  # the first paths are asked for most, or all alike
        unlike = dice.choice((0.0, 0.5, 1.0))
        regular, together, visits = dice.random() < 0.3, dice.random() < 0.5, dice.random() < 0.5
        missing = dice.choice((0.0, 0.01, 0.05))
        for _ in range(clients):
            client = self.address()
            agent = {
                "one": self.agent,
                "five": dice.choice(AGENTS[:5]),
                "own": dice.choice(AGENTS),
                "library": AGENTS[5],
                "none": "",
            }[shown]
            pause = 1 / (rate * math.exp(dice.gauss(0, unlike)))
            at = dice.random() * (pause if together else LENGTH)
            end = min(LENGTH, at + self.spread(60, LENGTH)) if visits else LENGTH
            while at < end:
                self.use(at, client, agent, skewed, missing)
                at += pause * dice.uniform(0.9, 1.1) if regular else dice.expovariate(1 / pause)

    def use(self, at: float, client: str, agent: str, skewed: bool, missing: float) -> None:
        """One harmless request."""
        dice = self.dice
        what = dice.random()
        if what < 0.05:
            self.send(at, client, f"POST {self.prefix}login", 200 if dice.random() > 0.1 else 401, agent)
            return
        last = len(self.paths) - 1
        path = self.paths[min(int(dice.paretovariate(0.8)) - 1, last)] if skewed else dice.choice(self.paths)
        method = "POST" if self.prefix != "/" and what < 0.15 else "GET"
        self.send(at, client, f"{method} {path}", 404 if dice.random() < missing else 200, agent)

    def source(self, attack: str, rate: float, begin: float, end: float, ask: Callable[[int], tuple[str, int]]) -> None:
        """One address that attacks: `ask` gives each call and its status."""
        client, at, number = self.address(), begin, 0
        agent = self.dice.choice((self.agent, *AGENTS, "curl/8.5.0"))
        while at < end:
            call, status = ask(number)
            self.send(at, client, call, status, agent, attack)
            number += 1
            at += self.dice.expovariate(rate)


def flood(world: World, begin: float) -> None:
    """One address or five, five to fifty requests a second."""
    for _ in range(world.dice.choice((1, 5))):
        world.source("flood", world.spread(5, 50), begin, begin + 120, lambda _: (f"GET {world.paths[0]}", 200))


def scan(world: World, begin: float) -> None:
    """What is not there, two a second."""
    dice = world.dice

    def ask(number: int) -> tuple[str, int]:
        return f"GET {dice.choice(PROBED)}" + ("" if dice.random() < 0.3 else f"/{number}"), 404

    world.source("scan", 2, begin, begin + 150, ask)


def guessing(world: World, begin: float) -> None:
    """One address, a password a second."""
    world.source("guessing", 1, begin, begin + 300, lambda _: (f"POST {world.prefix}login", 401))


def stuffing(world: World, begin: float) -> None:
    """A hundred and fifty addresses, a handful of passwords each."""
    dice = world.dice
    for _ in range(150):
        first = begin + dice.random() * 300
        world.source("stuffing", 0.05, first, first + 100,
                     lambda _: (f"POST {world.prefix}login", 401 if dice.random() < 0.98 else 200))


def scrape(world: World, begin: float) -> None:
    """All items, one after the other, three a second."""
    dice = world.dice
    world.source("scrape", 3, begin, begin + 330,
                 lambda number: (f"GET {world.prefix}items/{number}", 200 if dice.random() < 0.9 else 404))


def botnet(world: World, begin: float) -> None:
    """Four hundred addresses, a request a second each."""
    for _ in range(400):
        first = begin + world.dice.random() * 20
        world.source("botnet", 1, first, begin + 240, lambda _: (f"GET {world.paths[0]}", 200))


ATTACKS: tuple[Callable[[World, float], None] | None, ...] = (
    None, None, flood, scan, guessing, stuffing, scrape, botnet,
)
"""In turn; nobody attacks a quarter of the worlds."""


def attack_of(number: int) -> Callable[[World, float], None] | None:
    """Who attacks the world of this number, if anybody."""
    return ATTACKS[number % len(ATTACKS)]


def world(number: int) -> list[Line]:
    """The lines of one log, by time; the same number gives the same lines."""
    made = World(number)
    made.users()
    if attack := attack_of(number):
        attack(made, LENGTH * 0.4)
    return sorted(made.lines, key=lambda line: line.at)


def written(lines: list[Line]) -> tuple[str, str]:
    """The log and its labels, as `tidegate replay` reads them."""
    log, labels, actors = [], ["line,actor,family,abusive"], {}
    for number, line in enumerate(lines, 1):
        told: dict[str, Any] = {
            "time": START + line.at, "client_ip": line.client, "method": line.method, "path": line.path,
            "status": line.status, "bytes": line.size,
        }
        if line.agent:
            told["user_agent"] = line.agent
        if line.referer:
            told["referer"] = line.referer
        log.append(json.dumps(told))
        actor = actors.setdefault(line.client, len(actors))
        labels.append(f"{number},{actor},{line.attack or 'user'},{'true' if line.attack else 'false'}")
    return "\n".join(log) + "\n", "\n".join(labels) + "\n"


def judged(number: int, tidegate: str, model: str | None) -> dict[str, Any]:
    """Who attacks a world, and what of it was denied, in per cent: of what is harmless, and of the abuse where there
    is some.

    Raises `RuntimeError` with what the program said when it fails.
    """
    log, labels = (text.encode() for text in written(world(number)))
    with tempfile.TemporaryDirectory() as scratch:
        report = replay(f"world {number}", log, labels, tidegate, model, Path(scratch))

    def share(abusive: bool) -> float:
        rows = [row for row in report["labels"]["families"] if row["abusive"] == abusive]
        return pct(sum(row["denied"] for row in rows), sum(row["requests"] for row in rows))

    attack = attack_of(number)
    return {
        "attack": attack.__name__ if attack else None,
        "harm": share(False),
        "denied": share(True) if attack else None,
    }


def summary(found: list[dict[str, Any]]) -> str:
    """Harm over all worlds, and what was denied of each attack."""
    harm = [row["harm"] for row in found]
    attacks: dict[str, list[float]] = defaultdict(list)
    for row in found:
        if row["attack"]:
            attacks[row["attack"]].append(row["denied"])
    lines = [
        f"{len(found)} dull worlds",
        f"harmless requests denied: {fmean(harm):.3f} % (mean over worlds; worst {max(harm):.2f} %), "
        f"over 0.1 % in {sum(h > 0.1 for h in harm)}, over 1 % in {sum(h > 1 for h in harm)}",
    ]
    lines += [f"{name} denied: {fmean(values):.1f} % (mean; least {min(values):.1f} %)"
              for name, values in sorted(attacks.items())]
    return "\n".join(lines)


def main() -> None:
    """Reads the options, judges, and prints."""
    parser = argparse.ArgumentParser(prog="python3 -m foreign.dull", description=__doc__)
    parser.add_argument("--tidegate", required=True, help="the program")
    parser.add_argument("--model", help="another model than the built-in one")
    parser.add_argument("--worlds", type=int, default=64, help="how many (default: %(default)s)")
    parser.add_argument("--verbose", action="store_true", help="print a row for each world")
    options = parser.parse_args()
    if options.worlds < 1:
        sys.exit("--worlds must be 1 or more")
    try:
        used = judge(options.tidegate, options.model)
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda n: judged(n, options.tidegate, options.model), range(options.worlds)))
    except (OSError, RuntimeError) as error:
        sys.exit(str(error))
    if options.verbose:
        for number, row in enumerate(found):
            denied = f"  denied % {row['denied']:.1f}" if row["attack"] else ""
            print(f"{number:4} {row['attack'] or 'none':10} harm % {row['harm']:.3f}{denied}")
    print(summary(found))
    print(f"{used['program']['version']}, model {used['model']['name']}")


if __name__ == "__main__":
    main()
