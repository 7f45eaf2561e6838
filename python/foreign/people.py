"""A browser, and what it sends when a page is opened; whoever has one is built on this."""

from __future__ import annotations

import zlib

from .sites import Hit, about, query
from .tape import Stage
from .telling import Client

FROM = (
    "https://www.google.com/", "https://www.google.com/", "https://www.google.de/", "https://www.bing.com/",
    "https://duckduckgo.com/", "https://www.facebook.com/", "https://t.co/", "https://www.reddit.com/",
    "android-app://com.google.android.googlequicksearchbox/",
)


class Browser:
    """One browser at one site, with its clock, its cache and the page that is open."""

    def __init__(self, stage: Stage, client: Client, at: float, refers: bool = True, warm: bool | None = None) -> None:
        self.stage, self.site, self.dice = stage, stage.site, stage.dice
        self.client = client
        self.at = at
        self.refers = refers
        """Whether it tells which page of the site it was on."""
        self.told = refers
        """Whether it tells from which other site it came."""
        self.warm = self.dice.random() < 0.45 if warm is None else warm
        self.loads = True
        """Whether pictures, styles and scripts are loaded."""
        self.page = ""
        self.role = ""
        self.ready = at
        """When the answer to the last call is there."""
        self.number = 0
        self._seen: set[str] = set()

    @property
    def over(self) -> bool:
        """Whether the log ended."""
        return self.at >= self.stage.end

    def forget(self) -> None:
        """Empties the cache, and throws the cookies away."""
        self._seen.clear()
        self.let_in(False)

    def let_in(self, yes: bool = True) -> None:
        """From now on it has a session, or has none."""
        self.client = self.client._replace(session=yes)

    def may(self, role: str) -> bool:
        """Whether there is such a route, and the site shows this browser what it leads to."""
        return self.site.public(role) or (self.client.known and self.site.has(role))

    def think(self, median: float, sigma: float = 0.8) -> None:
        """Time passes: reading, typing, being away."""
        self.at += about(self.dice, median, sigma)

    def land(self, role: str = "", number: int | None = None) -> int:
        """Comes to the site from somewhere else."""
        self.page = ""
        if not role:
            role = "item" if self.may("item") and self.dice.random() < 0.6 else "home"
        role = role if self.site.has(role) else next(iter(self.site.walk))
        outside = self.dice.choice(FROM) if self.told and not self.site.shell and self.dice.random() < 0.6 else ""
        if self.dice.random() < 0.02 and not self.site.origin:
            # An old link, or one that lost its end on the way.
            old = self.site.hit(self.dice, role, number).path.split("?")[0].rstrip("/") or "/start"
            self._navigate(self.site.lost(self.dice, f"{old[:-3]}-{self.dice.randrange(99)}"), outside)
            self.think(4)
            role = "home" if self.site.has("home") else role
        return self.open(role, number=number, outside=outside)

    def open(
        self, role: str, number: int | None = None, text: str = "", page: int = 1, good: bool = True, outside: str = ""
    ) -> int:
        """Loads a page with all that belongs to it. On an error people try again, a few times."""
        number = self.site.popular(self.dice) if number is None else number
        hit = self.site.hit(self.dice, role, number, text, page, good)
        status = self._navigate(hit, outside)
        tries = 0
        while status >= 500 and tries < self.dice.randint(1, 4):
            self.think(5, 0.7)
            status = self._navigate(hit, outside)
            tries += 1
        if status == 0 or status >= 400 or (hit.method != "GET" and not self.site.origin):
            return status
        if not self.client.known and self.site.hidden(hit.path):
            return status
        if "/api/" not in hit.path:
            self.page = hit.path
        elif self.site.shell:
            # The app goes on to a page of its own without loading it.
            self.page = f"{self.site.shell}/{role}/{self.site.id(number)}"
        self.role, self.number = role, number
        self._load(role, number)
        return status

    def _navigate(self, hit: Hit, outside: str) -> int:
        self.at = max(self.at, self.ready)
        status = self.stage.send(self.at, self.client, hit, outside or self.referer())
        self.at += hit.ms / 1000 + self.dice.uniform(0.03, 0.25)
        return status

    def referer(self) -> str:
        """What the browser says of where it is."""
        if not self.refers:
            return ""
        if self.site.origin:
            # Other hosts are told no more than where the page lives.
            return self.site.origin
        return self.stage.url(self.page) if self.page else ""

    def call(self, role: str, number: int | None = None, text: str = "", good: bool = True, page: int = 1) -> int:
        """A request by the page's script."""
        number = self.number if number is None else number
        hit = self.site.hit(self.dice, role, number, text, page, good)
        if self.site.origin and self.refers and self.dice.random() < 0.12:
            asked = Hit("OPTIONS", hit.path, 204, 0, about(self.dice, 4, 0.4), 0)
            self.stage.send(self.at, self.client, asked, self.referer())
            self.at += 0.04
        self.ready = self.at + hit.ms / 1000 + self.dice.uniform(0.02, 0.15)
        return self.stage.send(self.at, self.client, hit, self.referer())

    def refused(self, role: str) -> None:
        """A call without a session, or with one that ended."""
        stranger = self.client._replace(session=False)
        self.stage.send(self.at, stranger, self.site.hit(self.dice, role, self.number), self.referer())
        self.at += self.dice.uniform(0.02, 0.1)

    def _load(self, role: str, number: int) -> None:
        base = self.at
        if self.loads:
            self._files(role, number, base)
        self.at = base + self.dice.uniform(0.1, 0.5)
        for called in self.site.calls.get(role, ()):
            self.call(called, number)
            self.at += self.dice.uniform(0.01, 0.12)
            if not self.may(called):
                # The first refusal tells the app that nobody is logged in.
                break
        self.at = max(self.at, base + self.dice.uniform(0.4, 1.6))

    def _files(self, role: str, number: int, base: float) -> None:
        """Styles and scripts at the first page, pictures at each that has new ones."""
        for path in self.site.assets:
            if path in self._seen:
                continue
            self._seen.add(path)
            if path == self.site.assets[0] and "iPhone" in self.client.agent and self.dice.random() < 0.12:
                # For the bookmark's picture, by guess.
                icon = self.site.lost(self.dice, "/apple-touch-icon-precomposed.png")
                self.stage.send(base + self.dice.uniform(0.5, 2), self.client, icon)
            # A warm cache holds what has a hash in its name, and asks about the rest.
            if self.warm and self.dice.random() < 0.9:
                continue
            kind = "js" if "only=scripts" in path else path.split("?")[0].rsplit(".", 1)[-1]
            size = {"js": 84000, "css": 31000, "woff2": 24000, "svg": 2600, "ico": 1400}.get(kind, 9000)
            self._file(base + self.dice.expovariate(4), path, size, self.warm)
        count, pattern = self.site.images.get(role, (0, ""))
        for place in range(count):
            # Lists show things, and the same list the same things.
            shown = zlib.crc32(f"{role}{number}/{place}".encode()) % 1000
            path = pattern.replace("{any}", self.site.id(int(self.site.items * (shown / 1000) ** 2)))
            path = self.site.fill(path, self.dice, number, "", place + 1).replace("{place}", str(place))
            if path not in self._seen:
                self._seen.add(path)
                if not (self.warm and self.dice.random() < 0.5):
                    # Pictures below the fold are loaded when somebody gets there.
                    later = self.dice.expovariate(2.5) if place < 6 else self.dice.uniform(1, 9)
                    self._file(base + later, path, 26000, False)

    def _file(self, at: float, path: str, size: int, known: bool) -> None:
        status, size = (304, 0) if known else (200, int(about(self.dice, size, 0.05)))
        if zlib.crc32(path.encode()) % 80 == 7 and path not in self.site.assets:
            # Each site has pictures that somebody deleted.
            status, size = 404, 310
        hit = Hit("GET", path, status, size, about(self.dice, 4, 0.6), 0)
        self.stage.send(at, self.client, hit, self.referer())

    def step(self) -> None:
        """Goes on from the open page to where people go from there, as far as the site lets them."""
        ways = self.site.walk.get(self.role) or self.site.walk[next(iter(self.site.walk))]
        ways = {role: often for role, often in ways.items() if self.may(role)}
        if not ways:
            # Who was thrown out, or could not log in before, tries to.
            self.log_in()
            return
        role = self.dice.choices(list(ways), list(ways.values()))[0]
        text = query(self.dice) if role == "search" else ""
        same = role in ("more", "save", "add", "comments") or role.startswith("own")
        page = self.dice.choices((1, 2, 3), (8, 2, 1))[0]
        if self.site.routes[role].method == "GET" and role not in ("more",):
            self.open(role, self.number if same else None, text, page)
        else:
            self.call(role, self.number, text, page=page)
            if role == "add":
                self.open("cart")

    def wander(self, pages: int, median: float) -> None:
        """Several pages with time to read between them."""
        for _ in range(pages):
            if self.over:
                return
            self.think(median)
            self.step()

    def stay(self, seconds: float, focus: float = 1.0) -> None:
        """Leaves the page open, whose script keeps asking; a tab in the background asks less often."""
        if self.site.poll is None or not self.may(self.site.poll[0]):
            self.at += seconds
            return
        role, every = self.site.poll
        until = self.at + seconds
        while self.at < until and not self.over:
            if self.call(role) >= 500:
                self.at += every
            self.at += every * focus * self.dice.uniform(0.97, 1.05)

    def log_in(self, mistakes: int = 0, quick: bool = False, at_all: bool = True) -> bool:
        """Logs in as the site has it: a form or a call, after so many wrong passwords."""
        if self.site.has("login_page"):
            self.open("login_page")
        elif self.site.shell:
            # The app starts, and learns that nobody is logged in.
            self._navigate(self.site.hit(self.dice, "home"), "")
            self.page = self.site.shell
            self.refused("me")
        for attempt in range(mistakes + 1):
            self.think(1.8 if quick else 11, 0.4)
            good = attempt == mistakes and at_all
            status = self.call("login", good=good)
            self.at += self.dice.uniform(0.2, 0.7)
            if not good and status == 302 and self.site.has("login_failed"):
                # The form is shown again, by a redirect.
                self.open("login_failed")
            if status >= 500:
                return False
        after = next((role for role in ("account", "home", *self.site.walk) if self.site.has(role)), "")
        self.let_in(at_all and not self.site.has("otp_page"))
        if at_all and self.site.has("otp_page"):
            self.open("otp_page")
            self.think(14, 0.4)
            if not quick and self.dice.random() < 0.07:
                self.call("otp", good=False)
                self.think(9, 0.4)
            self.let_in(self.call("otp") < 500)
        if after and at_all:
            self.open(after)
        return at_all
