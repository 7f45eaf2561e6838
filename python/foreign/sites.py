"""What a site is: its routes, how it answers, what a view of it loads, and who comes."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from math import exp
from typing import NamedTuple
from urllib.parse import quote_plus

WORDS = (
    "north river winter light garden silver market city open water stone paper green morning spring copper "
    "oak linen road summer glass night harbour field cedar story blue iron travel house amber budget energy "
    "local music school health craft tower union coffee valley letter minister cotton window pocket"
).split()


class Route(NamedTuple):
    """How one kind of request looks and is answered; sizes and times are medians."""

    method: str
    path: str
    """What stands in braces is filled in by `Site.fill`, and {t} when the request is sent."""
    size: float
    ms: float
    status: int = 200
    body: float = 0
    bad: int = 0
    """The status of a refusal (a wrong password, a declined card); 0 when there is none."""
    bad_size: float = 0


class Hit(NamedTuple):
    """One request to send, and what will be answered when the site is well."""

    method: str
    path: str
    status: int
    size: int
    ms: float
    body: int


@dataclass(frozen=True)
class Site:
    """One site, with all that the people, programs and attackers there need to know."""

    name: str
    host: str
    hour: int
    """When the log begins, UTC."""
    routes: dict[str, Route]
    """By what they are for: home, list, item, search, login and so on."""
    walk: dict[str, dict[str, int]]
    """Where people go from each page, and how often."""
    cast: dict[str, int]
    """How many of each kind of harmless client come in forty minutes."""
    attacks: tuple[str, ...]
    items: int = 4000
    """How many things there are; ids from here on do not exist."""
    ids: str = "number"
    """How ids look: number, hex or ref."""
    first: int = 1000
    """The number of the first id."""
    assets: tuple[str, ...] = ()
    """Scripts, styles and fonts of each page; none when another host serves them."""
    images: dict[str, tuple[int, str]] = field(default_factory=dict)
    """How many pictures a page has, and their path."""
    calls: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What the scripts of a page ask for when it opens."""
    poll: tuple[str, float] | None = None
    """What open pages ask for again and again, and after how many seconds."""
    missing: tuple[int, int, float] = (404, 4200, 18.0)
    """Status, size and time of what is not there. Single-page apps answer 200 with the app, others lead to
    the log-in."""
    gone: int = 404
    """The status of ids that do not exist."""
    private: tuple[str, ...] = ()
    """Paths that only those see who are logged in, or have a key."""
    refusal: tuple[int, float] = (401, 62)
    """Status and size of the answer to others there."""
    apps: bool = False
    """Whether phones' apps come, and hardly a browser."""
    outage: bool = False
    crowd: bool = False
    """Whether somebody with many readers links to it."""
    origin: str = ""
    """Where the pages live, if that is another host: browsers then ask for permission with OPTIONS first."""
    shell: str = ""
    """The path of the single page that the site is, whose script then moves between pages of its own."""

    def has(self, *roles: str) -> bool:
        """Whether there are such routes."""
        return all(role in self.routes for role in roles)

    def public(self, role: str) -> bool:
        """Whether there is such a route, and everybody may see what it leads to."""
        return role in self.routes and not self.hidden(self.routes[role].path)

    def hidden(self, path: str) -> bool:
        """Whether strangers are refused there."""
        return bool(self.private) and path.startswith(self.private)

    def popular(self, dice: random.Random) -> int:
        """The number of a thing that somebody wants: few are wanted by most."""
        return int(self.items * dice.random() ** 3)

    def id(self, number: int) -> str:
        """How the site writes the id of thing `number`."""
        if self.ids == "hex":
            return hexes(f"{self.name}{number}", 24)
        if self.ids == "ref":
            return f"{self.host[:2].upper()}{zlib.crc32(f'{self.name}{number}'.encode()) % 10**8:08d}"
        return str(self.first + number)

    def fill(self, path: str, dice: random.Random, number: int, text: str, page: int) -> str:
        """The path with everything filled in."""
        if "{" not in path:
            return path
        return (
            path.replace("{id}", self.id(number))
            .replace("{slug}", slug(self.name, number))
            .replace("{cat}", WORDS[number % 14])
            .replace("{f}", str(number % 14 + 2))
            .replace("{page}", str(page))
            .replace("{start}", str((page - 1) * 25))
            .replace("{day}", str(10 + (number * 7 + page) % 20))
            .replace("{q}", quote_plus(text))
            .replace("{hex}", f"{dice.getrandbits(64):016x}")
            .replace("{n}", str(dice.randrange(10, 99999)))
        )

    def hit(
        self,
        dice: random.Random,
        role: str,
        number: int | None = None,
        text: str = "",
        page: int = 1,
        good: bool = True,
    ) -> Hit:
        """A request of this role; `good` is whether the site accepts what it is told."""
        route = self.routes[role]
        number = self.popular(dice) if number is None else number
        path = self.fill(route.path, dice, number, text or query(dice), page)
        status, size = route.status, route.size
        if not good and route.bad:
            status, size = route.bad, route.bad_size or size
        elif "{id}" in route.path and not 0 <= number < self.items:
            status, size = self.gone, self.missing[1] if self.gone != 401 else 60
        body = int(about(dice, route.body, 0.25)) if route.body else 0
        return Hit(route.method, path, status, weight(f"{path}#{number}", size, dice), about(dice, route.ms, 0.4), body)

    def refused(self, hit: Hit) -> Hit:
        """The answer to a stranger: that of the hit, unless it is private."""
        if not self.hidden(hit.path):
            return hit
        return hit._replace(status=self.refusal[0], size=int(self.refusal[1]), ms=min(hit.ms, 6.0))

    def lost(self, dice: random.Random, path: str, method: str = "GET") -> Hit:
        """The answer to a request for something that was never there."""
        status, size, ms = self.missing
        return Hit(method, path, status, size, about(dice, ms, 0.4), 0)


@lru_cache(maxsize=65536)
def hexes(of: str, length: int) -> str:
    """Hexadecimal digits that always belong to the same text."""
    return "".join(f"{zlib.crc32(f'{of}.{part}'.encode()):08x}" for part in range((length + 7) // 8))[:length]


@lru_cache(maxsize=65536)
def slug(site: str, number: int) -> str:
    """The words of the address of a thing."""
    dice = random.Random(f"{site}/{number}")
    return "-".join(dice.sample(WORDS, dice.randint(2, 5)))


def query(dice: random.Random) -> str:
    """What somebody types into a search."""
    return " ".join(dice.sample(WORDS, dice.choices((1, 2, 3), (5, 4, 2))[0]))


def about(dice: random.Random, median: float, sigma: float) -> float:
    """A positive number around a median, log-normal."""
    return median * exp(dice.gauss(0, sigma))


def weight(path: str, size: float, dice: random.Random) -> int:
    """Bytes of an answer: each path has its own, and small parts of pages change from view to view."""
    if size < 10:
        return int(size)
    if size < 400:
        return int(size) + dice.randrange(4)
    own = 0.72 + (zlib.crc32(path.encode()) % 1000) / 1400
    return int(size * own) + dice.randrange(40)
