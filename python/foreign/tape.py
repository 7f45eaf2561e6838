"""The stage: the log as it is written, who stands where, and what the weather of the site is."""

from __future__ import annotations

import random
from datetime import datetime, timezone

from . import addresses, agents
from .sites import Hit, Site, about, hexes
from .telling import Client, Request


class Stage:
    """A site for some minutes. Actors are drawn from it and send their requests to it."""

    def __init__(self, site: Site, seed: int, minutes: float, actor: str) -> None:
        # What all actors of a site share comes first, and from the same dice for each of them.
        shared = random.Random(f"{seed}/{site.name}")
        self.site = site
        self.seed = seed
        self.minutes = minutes
        self.start = datetime(2025, 3, 11, site.hour, tzinfo=timezone.utc).timestamp()
        self.span = minutes * 60.0
        self.end = self.start + self.span
        self.offices = [addresses.v4(shared, addresses.OFFICES) for _ in range(3)]
        self.carriers = [addresses.v4(shared, addresses.CARRIERS) for _ in range(3)]
        fails = self.start + self.span * shared.uniform(0.55, 0.7)
        self.outage = (fails, fails + self.span * 0.08) if site.outage else (0.0, 0.0)
        self.fame = self.start + self.span * shared.uniform(0.3, 0.4)
        self.famous = int(site.items * 0.04)
        self.dice = random.Random(f"{seed}/{site.name}/{actor}")
        self.actor = actor
        self.requests: list[Request] = []

    def actors(self, actor: str) -> "Stage":
        """The same stage for another actor, whose dice depend on nobody else's."""
        return Stage(self.site, self.seed, self.minutes, actor)

    def person(self, kind: str, where: str = "", device: str = "") -> Client:
        """A harmless client with an address and a browser that go together."""
        dice = self.dice
        device = device or ("mobile" if dice.random() < 0.5 else "desktop")
        agent = agents.mobile(dice) if device == "mobile" else agents.desktop(dice)
        if not where:
            where = "carrier" if device == "mobile" and dice.random() < 0.45 else "home"
        if where == "office":
            address = dice.choice(self.offices)
        elif where == "carrier":
            address = dice.choice(self.carriers) if dice.random() < 0.6 else addresses.phone(dice)
        else:
            address = addresses.home(dice)
        return Client(address, agent, self.actor, kind)

    def program(self, kind: str, agent: str, address: str = "", key: str = "", session: bool = False) -> Client:
        """A harmless program, usually on a rented machine."""
        return Client(address or addresses.cloud(self.dice), agent, self.actor, kind, key=key, session=session)

    def guise(self, careless: bool = False) -> str:
        """What an attacker who wants to look like the others calls itself there: an app where apps come, a library
        where programs do, else a browser; the careless take old lists."""
        if self.site.apps:
            return agents.app(self.dice, self.site.host)
        if self.site.has("usage"):
            return self.dice.choice(agents.LIBRARIES)
        return agents.forged(self.dice) if careless else agents.browser(self.dice)

    def attacker(
        self, agent: str, address: str = "", number: int = 0, key: str | None = None, session: bool = False
    ) -> Client:
        """One source of an attack; the kind is the attack's name. Where there are keys it has one that somebody got
        by registering, unless another is given, or none. With a session it has an account of that sort as well."""
        address = address or addresses.cloud(self.dice)
        if key is None:
            key = "od_live_" + hexes(f"{self.seed}{self.actor}{number // 3}", 24) if self.site.has("usage") else ""
        return Client(address, agent, f"{self.actor}:{number}", self.actor, True, key, session)

    def residential(self) -> str:
        """A proxy in somebody's home, which is what such attacks rent; a few are phones, behind one address with
        people who come to the site."""
        return self.dice.choice(self.carriers) if self.dice.random() < 0.007 else addresses.home(self.dice)

    def sometime(self, least: float = 0.0, most: float = 1.0) -> float:
        """A time between two shares of the span."""
        return self.start + self.span * self.dice.uniform(least, most)

    def send(self, at: float, client: Client, hit: Hit, referer: str = "") -> int:
        """Writes the request, and says with which status it was answered; 0 outside of the log's time. Whoever has
        neither a session nor a key is refused what is private."""
        if not self.start <= at < self.end:
            return 0
        if not client.known:
            hit = self.site.refused(hit)
        status, size, took = hit.status, hit.size, hit.ms
        if self.outage[0] <= at < self.outage[1] and self.dice.random() < 0.85 and "." not in hit.path[-6:]:
            # First the backend hangs, then the balancer knows that it is gone.
            early = at < self.outage[0] + 40
            status, size = (504, 160) if early else (self.dice.choice((502, 503, 503)), 150)
            took = about(self.dice, 30000, 0.02) if early else about(self.dice, 3, 0.5)
        if status in (204, 304) or hit.method == "HEAD":
            size = 0
        path = hit.path.replace("{t}", str(int(at) - self.dice.randrange(2, 40))) if "{t}" in hit.path else hit.path
        self.requests.append(Request(at, client, hit.method, path, status, size, took, hit.body, referer))
        return status

    def url(self, path: str) -> str:
        """A path of the site as a referer says it."""
        return f"https://{self.site.host}{path}"
