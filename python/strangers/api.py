"""API systems: clients with keys, identifiers, deploys during which requests fail."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Callable, Sequence

from . import agents
from .addresses import CARRIERS, HOUSEHOLDS, PROVIDERS, RENTED
from .entries import Entry
from .world import Play, World

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
HOUR = 480.0
"""When the full hour strikes, in seconds since the log's beginning."""


def attack(name: str) -> Callable[[Play], Play]:
    """Marks a method that plays an attack."""

    def mark(play: Play) -> Play:
        setattr(play, "attack", name)
        return play

    return mark


class Client:
    """A program or a browser, with a key if it has one."""

    def __init__(
        self, system: "System", kind: str, address: str, agent: str, headers: Sequence[str], key: str = "",
        user: str = "", referer: str = "", actor: str = "",
    ) -> None:
        self.system = system
        self.kind = kind
        self.address = address
        self.agent = agent
        self.headers = headers
        self.key = key
        self.user = user
        self.referer = referer
        self.actor = actor or system.actor(kind)

    def send(
        self, at: float, method: str, path: str, status: int = 200, size: int | None = None,
        took: float | None = None, key: str = "", address: str = "",
    ) -> None:
        """Sends a request, with another key or from another address if one is given."""
        dice = self.system.dice
        if size is None:
            size = dice.randint(300, 3000) if status < 300 else 0 if status == 304 else dice.randint(80, 260)
        if took is None:
            took = dice.lognormvariate(3.2, 0.5)
        fields = {
            "client_ip": address or self.address, "method": method, "path": path, "status": status,
            "bytes": size, "duration_ms": round(took, 1), "user_agent": self.agent,
        }
        if self.referer:
            fields["referer"] = self.referer
        if self.user:
            fields["user"] = self.user
        if key or self.key:
            fields["credential"] = key or self.key
        fields["header_names"] = self.headers
        self.system.note(at, fields, self.kind, self.actor)


class System(World):
    """A system that is called by programs."""

    start = datetime(2025, 3, 4, 9, 52, tzinfo=timezone.utc)
    hidden = frozenset({"credential", "user", "user_agent", "duration_ms", "header_names", "referer"})
    attack_begins: float
    page: str
    """What a browser names as the page that it calls from."""
    deploy: tuple[float, float]

    def logs(self) -> list[list[str]]:
        return [[name] for name in self._attacks()]

    def assault(self, name: str) -> None:
        self._attacks()[name](self)

    def _attacks(self) -> dict[str, Play]:
        """The attacks by their names."""
        plays = vars(type(self)).values()
        return {getattr(play, "attack"): play for play in plays if hasattr(play, "attack")}

    def aftermath(self) -> None:
        """During a deploy a third of the requests fail, and the client tries again once."""
        again: list[Entry] = []
        for number, entry in enumerate(self.entries):
            if self.deploy[0] <= entry.at < self.deploy[1] and self.chance(0.35):
                again.append(entry._replace(at=entry.at + self.about(1.2, 0.5)))
                failed = {"status": self.pick((502, 502, 503)), "bytes": 157,
                          "duration_ms": round(self.between(1, 40), 1)}
                self.entries[number] = entry._replace(fields=entry.fields | failed)
        self.entries += again

    def token(self, length: int, prefix: str = "") -> str:
        """A secret or an identifier."""
        return prefix + "".join(self.dice.choice(LETTERS) for _ in range(length))

    def digits16(self, length: int, prefix: str = "") -> str:
        """The same of hexadecimal digits."""
        return f"{prefix}{self.dice.getrandbits(4 * length):0{length}x}"

    def uuid(self) -> str:
        """An identifier with hyphens."""
        return "-".join(self.digits16(length) for length in (8, 4, 4, 4, 12))

    def crowd(self, begin: float, mean: float, most: float = 900) -> float:
        """When somebody reacts to something, soon or later."""
        return begin + min(most, self.gap(mean))

    def cloud(self) -> str:
        """An address of a cloud."""
        return self.address(PROVIDERS)

    def rented(self) -> str:
        """A machine of those who rent to anybody."""
        return self.address(RENTED)

    def home(self) -> str:
        """A home."""
        return self.address(HOUSEHOLDS)

    def carrier(self) -> str:
        """A phone."""
        return self.address(CARRIERS)

    def mixed(self) -> str:
        """A home or a rented machine, as attackers have both."""
        return self.address(HOUSEHOLDS, RENTED)

    def anywhere(self) -> str:
        """Homes mostly, and phones."""
        return self.address(HOUSEHOLDS, HOUSEHOLDS, CARRIERS)

    def on_the_way(self) -> str:
        """Phones mostly, and homes."""
        return self.address(CARRIERS, CARRIERS, HOUSEHOLDS)

    def browser_agent(self) -> str:
        """A browser."""
        return self.pick(agents.API_BROWSERS)

    def program(
        self, kind: str, agent: str, address: str = "", key: str = "",
        headers: Sequence[str] = agents.SDK_HEADERS, user: str = "", actor: str = "",
    ) -> Client:
        """A program, in a cloud unless an address is given."""
        return Client(self, kind, address or self.cloud(), agent, headers, key, user, "", actor)

    def browser(
        self,
        kind: str,
        address: str = "",
        user: str = "",
        page: str | None = None,
        key: str = "",
        agent: str = "",
    ) -> Client:
        """A browser, at home unless an address is given."""
        agent = agent or self.browser_agent()
        referer = self.page if page is None else page
        address = address or self.home()
        return Client(self, kind, address, agent, agents.API_BROWSER_HEADERS, key, user, referer)

    def app(self, kind: str, agent: str, address: str, key: str = "", user: str = "") -> Client:
        """An app on a device."""
        return Client(self, kind, address, agent, agents.APP_HEADERS, key, user)

    def health_checks(
        self, agent: str, every: float, count: int = 1, path: str = "/healthz", spread: float = 0.0
    ) -> None:
        """Programs that look whether the system is well."""
        for _ in range(count):
            client = self.program("health", agent, headers=agents.CURL_HEADERS)
            for at in self.every(every, self.between(0, spread), jitter=0.01):
                client.send(at, "GET", path, 200, 2, 1)

    def developers(
        self, count: int, paths: Sequence[str], statuses: Sequence[int], *,
        programs: Sequence[str] = (agents.CURL, agents.POSTMAN), methods: Sequence[str] = ("GET", "POST"),
        most: int = 12, pause: float = 12, key: str = "", rest: float = 300,
        headers: Sequence[str] = agents.CURL_HEADERS,
    ) -> None:
        """Developers who try calls by hand, and get many of them wrong."""
        for _ in range(count):
            secret = self.token(24, key) if key else ""
            client = self.program("developer", self.pick(programs), self.home(), secret, headers)
            at = self.between(0, 1500)
            while at < 4500:
                for _ in range(self.whole(3, most)):
                    path = self.pick(paths)
                    if path.endswith("_"):
                        path += self.token(14)
                    client.send(at, self.pick(methods), path, self.pick(statuses))
                    at += self.between(3, pause)
                at += self.gap(rest)

    def scan(
        self, agent: str, paths: Sequence[str], endings: Sequence[str], every: float, seconds: float,
        mostly: float = 0.9,
    ) -> None:
        """A scanner tries paths that are weak spots elsewhere."""
        client = self.program(self.playing, agent, self.rented(), headers=agents.CURL_HEADERS)
        begin = self.attack_begins
        for at in self.every(every, begin, begin + seconds):
            status = 404 if self.chance(mostly) else 401
            client.send(at, "GET", self.pick(paths) + self.pick(endings), status, 180, 3)
