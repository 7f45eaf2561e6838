"""Web sites: clients with a browser's cache, pages with what they load, and an outage."""

from __future__ import annotations

import random
from datetime import datetime, timezone
from math import log
from typing import Callable, Iterable, Sequence

from . import agents
from .addresses import HOMES, SERVERS, v6
from .world import END, World

WINDOWS = ((700, 1700), (2150, 3000), (3400, 4450))
"""When the attacks of a log come."""
OUTAGE = (3050, 3350)
SEARCH_ENGINES = (
    "https://www.google.com/", "https://www.google.de/", "https://www.bing.com/", "https://duckduckgo.com/",
    "", "", "https://l.facebook.com/", "android-app://com.google.android.googlequicksearchbox/",
)
WORDS = (
    "garten fenster stadtrat schule feuerwehr bahnhof verein lesung winter sturm umleitung kreis "
    "marathon theater klinik kinder radweg sanierung haushalt markt brauerei tennis turnier prozess "
    "unfall wald energie wahl museum konzert"
).split()

Asset = str | tuple[str, int]
"""What a page loads: a path, with its status when that is not 200."""


def slug(number: int, words: int = 4) -> str:
    """The words in the path of something that has a number."""
    dice = random.Random(number)
    return "-".join(dice.choice(WORDS) for _ in range(words))


def letters(path: str) -> int:
    """A number that stays with a path, the query aside."""
    return sum((place + 7) * ord(letter) for place, letter in enumerate(path.split("?")[0]))


class Client:
    """An address with an agent, and a cache if it is a browser."""

    def __init__(
        self, site: "WebSite", kind: str, address: str = "", agent: str = "", user: str = "", actor: str = ""
    ) -> None:
        self.site = site
        self.kind = kind
        self.address = address or site.address(HOMES)
        self.agent = agent or agents.web_browser(site.dice)
        self.user = user
        self.actor = actor or site.actor(kind)
        self.cache: set[str] = set()

    def send(
        self,
        at: float,
        method: str,
        path: str,
        status: int = 200,
        size: int | None = None,
        took: float | None = None,
        referer: str = "",
        headers: Sequence[str] = agents.BOT_HEADERS,
        user: str = "",
    ) -> int:
        """Sends a request, and says with which status it was answered. Outside of the log's time nothing is
        written."""
        site, dice = self.site, self.site.dice
        if not 0 <= at < END:
            return status
        if OUTAGE[0] <= at < OUTAGE[1] and site.chance(0.97):
            status, size = dice.choice((502, 503, 502, 504)), 560
            took = dice.uniform(1, 6) if status != 504 else 60000.0
        if size is None:
            size = int(dice.lognormvariate(9.3, 0.8)) if status == 200 else dice.randrange(150, 600)
        if took is None:
            took = dice.lognormvariate(3.6, 0.6)
        fields = {
            "client_ip": self.address, "method": method, "path": path, "status": status,
            "bytes": 0 if status == 304 else size, "duration_ms": round(took, 1), "user_agent": self.agent,
            "header_names": [name for name in headers if name != "referer" or referer],
        }
        if referer:
            fields["referer"] = referer
        if user or self.user:
            fields["user"] = user or self.user
        site.note(at, fields, self.kind, self.actor)
        return status

    def page(
        self, at: float, path: str, referer: str = "", status: int = 200, method: str = "GET",
        assets: bool = True, user: str = "",
    ) -> float:
        """Opens a page with what it loads, and says when that is done. Who meets the outage tries again."""
        site, dice = self.site, self.site.dice
        if referer.startswith("/"):
            referer = site.base + referer
        took = dice.lognormvariate(4.4, 0.6)
        size = int(dice.lognormvariate(10, 0.4)) if status == 200 else None
        headers = agents.FORM_HEADERS if method == "POST" else agents.NAVIGATION_HEADERS
        answer = self.send(at, method, path, status, size, took, referer, headers, user)
        if answer >= 500 > status:
            for _ in range(dice.choice((0, 1, 1, 2, 3))):
                at += dice.choice((dice.uniform(1, 4), dice.uniform(5, 30)))
                again = dice.lognormvariate(4.4, 0.6)
                answer = self.send(at, method, path, status, None, again, referer, headers, user)
                if answer < 500:
                    break
            if answer >= 500:
                return at
        at += took / 1000
        if not assets or status in (301, 302, 303, 304):
            return at
        self._load(at + 0.03, path, user)
        return at + 0.53

    def _load(self, at: float, path: str, user: str) -> None:
        """Loads what a page needs and the cache does not have."""
        site, dice = self.site, self.site.dice
        for asset in site.assets(path):
            name, status = asset if isinstance(asset, tuple) else (asset, 200)
            known = name.split("?")[0] in self.cache and status == 200 and "/api/" not in name
            if known and not site.chance(0.04):
                continue
            self.cache.add(name.split("?")[0])
            if known:
                status, took = 304, dice.uniform(0.3, 2)
            else:
                took = dice.lognormvariate(1, 0.8)
            when = at + dice.uniform(0, 0.5)
            self.send(when, "GET", name, status, None, took, site.base + path, agents.ASSET_HEADERS, user)

    def call(
        self,
        at: float,
        path: str,
        page: str,
        method: str = "GET",
        status: int = 200,
        size: int | None = None,
        user: str = "",
    ) -> int:
        """A request of a script on a page."""
        site, dice = self.site, self.site.dice
        size = size or dice.randrange(80, 4000)
        took = dice.lognormvariate(3.3, 0.6)
        return self.send(at, method, path, status, size, took, site.base + page, agents.SCRIPT_HEADERS, user)


Attack = Callable[["WebSite", float, float], None]
"""How an attack is played on a site between two times."""


class WebSite(World):
    """A public web site."""

    base: str
    plan: list[dict[str, Attack]]
    """The attacks by their names, one log after the other."""
    start = datetime(2025, 3, 4, 10, tzinfo=timezone.utc)
    hidden = frozenset({"bytes", "duration_ms", "user_agent", "header_names"})

    def logs(self) -> list[list[str]]:
        return [list(log) for log in self.plan]

    def assault(self, name: str) -> None:
        for group in self.plan:
            if name in group:
                group[name](self, *WINDOWS[list(group).index(name)])

    def client(
        self, kind: str, address: str = "", agent: str = "", user: str = "", actor: str = ""
    ) -> Client:
        """A client; a browser at home unless more is said."""
        return Client(self, kind, address, agent, user, actor)

    def attacker(self, address: str = "", agent: str = "") -> Client:
        """A source of the attack that is being played, on a rented machine unless an address is given."""
        return Client(self, self.playing, address or self.address(SERVERS), agent)

    def household(self) -> str:
        """The address of a visitor at home."""
        return v6(self.dice) if self.chance(0.25) else self.address(HOMES)

    def thinking(self, mean: float = 25) -> float:
        """How long somebody looks at a page."""
        return min(600.0, max(1.5, self.dice.lognormvariate(log(mean), 0.9)))

    def rank(self, count: int) -> int:
        """One of so many things, the first ones far more often than the last."""
        return max(0, min(count - 1, int(count ** self.dice.random()) - 1))

    def word(self) -> str:
        """A word of the language of the sites."""
        return self.dice.choice(WORDS)

    def engine(self) -> str:
        """Where a visitor comes from."""
        return self.dice.choice(SEARCH_ENGINES)

    def typed(self, at: float, word: str, least: int = 2) -> Iterable[tuple[float, str]]:
        """What a word looks like at each key that is pressed, and when."""
        for length in range(least, len(word) + 1):
            at += self.between(0.1, 0.4)
            yield at, word[:length]

    def some_path(self) -> str:
        """A page as a crawler finds it."""
        raise NotImplementedError

    def assets(self, path: str) -> list[Asset]:
        """What a page loads."""
        raise NotImplementedError
