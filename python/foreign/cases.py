"""A case: the harmless traffic of a site, and in it one attack."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Iterable, NamedTuple

from . import addresses, agents, attacks_accounts, attacks_content, places_apps, places_pages
from .attacks import ATTACKS, PROBES
from .members import MEMBERS
from .programs import PROGRAMS
from .sites import Site
from .tape import Stage
from .telling import Client, Request, label, teller
from .visitors import VISITORS

SITES: dict[str, Site] = {
    site.name: site
    for module in (places_pages, places_apps)
    for site in vars(module).values()
    if isinstance(site, Site)
}
"""By name."""

KINDS = VISITORS | MEMBERS | PROGRAMS
"""What plays each kind of harmless client."""

STRAY = "stray"
"""Single probes that reach every address of the internet. They are in the log and have no label: they are
neither harmless nor the attack that a case is about."""

# Those who make `ATTACKS` whole by being read.
assert attacks_accounts and attacks_content


class Line(NamedTuple):
    """A line of the log, and who it is of."""

    at: float
    text: str
    client: Client


@dataclass(frozen=True)
class Case:
    """One site under one attack."""

    site: Site
    attack: str
    log: bytes
    labels: bytes
    abusive: int
    harmless: int


def background(site: Site, seed: int, minutes: float) -> list[Request]:
    """What comes to the site when nobody attacks it, by time."""
    requests: list[Request] = []
    for kind, count in site.cast.items():
        # Programs are there all the time; of people more come the longer one looks.
        share = minutes / 40 if kind not in PROGRAMS else min(1.0, minutes / 20)
        for number in range(max(1, round(count * share))):
            stage = Stage(site, seed, minutes, f"{kind}:{number}")
            KINDS[kind](stage, kind)
            requests += stage.requests
    requests += _strays(site, seed, minutes)
    requests.sort(key=_time)
    return requests


def _strays(site: Site, seed: int, minutes: float) -> list[Request]:
    stage = Stage(site, seed, minutes, STRAY)
    dice, at = stage.dice, stage.start
    while (at := at + dice.expovariate(1 / 70)) < stage.end:
        agent = dice.choice((agents.forged(dice), "Mozilla/5.0 zgrab/0.x", "Go-http-client/1.1", ""))
        client = Client(addresses.cloud(dice), agent, STRAY, STRAY, True)
        stage.send(at, client, site.lost(dice, dice.choice(PROBES)))
    return stage.requests


def assault(site: Site, attack: str, seed: int, minutes: float) -> list[Request]:
    """The requests of an attack, by time."""
    stage = Stage(site, seed, minutes, attack)
    ATTACKS[attack].play(stage)
    return sorted(stage.requests, key=_time)


def _time(request: Request) -> float:
    return request.at


def written(requests: Iterable[Request], telling: str) -> list[Line]:
    """Requests as lines of a log that tells so much."""
    tell = teller(telling)
    return [Line(request.at, tell(request), request.client) for request in requests]


def case(site: Site, attack: str, harmless: list[Line], abusive: list[Line]) -> Case:
    """Both in one log, with the labels of its lines."""
    lines = sorted(harmless + abusive, key=lambda line: line.at)
    labels = ["line,actor,family,abusive"]
    labels += [label(number, line.client) for number, line in enumerate(lines, 1) if line.client.kind != STRAY]
    return Case(
        site, attack,
        "".join(f"{line.text}\n" for line in lines).encode(),
        "".join(f"{row}\n" for row in labels).encode(),
        len(abusive),
        sum(line.client.kind != STRAY for line in harmless),
    )


def digest(case: Case) -> str:
    """A short sum of a case, to see whether two runs judged the same bytes."""
    return f"{zlib.crc32(case.log + case.labels):08x}"
