"""A game for phones: matches, a storm after a push, support, a farm of testers."""

from __future__ import annotations

from . import agents
from .api import Client, System, attack
from .addresses import CARRIERS, HOUSEHOLDS
from .world import END, ordinary

ANDROID = "SkyRaid/4.2.0 (Android 14; okhttp/4.12)"
IPHONE = "SkyRaid/4.2.0 (iOS 18.3; CFNetwork/1568)"
UPDATED = "SkyRaid/4.3.0 (Android 14; okhttp/4.12)"
SHARED_ADDRESSES = 25
"""Addresses of carriers behind which most players are."""


class Game(System):
    """The game."""

    name = "game"
    page = "https://cs.skyraid.example/"
    deploy = (1200, 1240)
    attack_begins = 2000

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.shared = [self.carrier() for _ in range(SHARED_ADDRESSES)]

    def session(self) -> str:
        """A session's token."""
        return self.token(40, "eyJ")

    def app_agent(self, at: float) -> str:
        """The app, which is updated in the course of the log."""
        return UPDATED if at > 3000 + self.between(0, 400) else self.pick((ANDROID, IPHONE))

    def launch(self, client: Client, at: float) -> float:
        """The app starts."""
        if self.chance(0.08):
            client.send(at, "POST", "/auth/refresh", 401, 120)
            at += 0.4
            client.send(at, "POST", "/auth/login", 200, 900)
        else:
            client.send(at, "POST", "/auth/refresh", 200, 900)
        at += 0.3
        guild = self.draw({200: 0.8, 404: 0.2})
        for method, path, status in (
            ("GET", "config?ver=4.2.0", 304), ("GET", "player/me", 200), ("GET", "shop/offers", 200),
            ("GET", "inbox", 200), ("GET", "guild/mine", guild), ("GET", "events/active", 200),
            ("POST", "telemetry", 204),
        ):
            client.send(at + self.between(0, 1), method, f"/v3/{path}", status)
        return at + 3

    def play(self, client: Client, at: float, matches: int, hasty: bool = False) -> None:
        """Somebody plays some matches, hastily if each turn takes a third of a second."""
        for _ in range(matches):
            client.send(at, "POST", "/v3/match/find")
            match = f"/v3/match/{self.uuid()}"
            for _ in range(self.whole(4, 15)):
                at += 1
                client.send(at, "GET", f"{match}/ticket", 200, 120, 6)
            for _ in range(self.whole(10, 30)):
                at += self.between(0.25, 0.5) if hasty else self.between(2, 6)
                client.send(at, "POST", f"{match}/turn", self.draw({200: 98.5, 409: 1.5}), 300)
            at += 2
            client.send(at, "POST", f"{match}/result")
            client.send(at + 1, "POST", "/v3/telemetry", 204)
            client.send(at + 2, "POST", "/v3/chest/open")
            if self.chance(0.2):
                client.send(at + 6, "GET", f"/v3/leaderboard?around=me&league={self.whole(1, 12)}")
            at += self.between(8, 40)

    def player(self, kind: str, at: float, matches: int, hasty: bool = False) -> None:
        """A player starts the app and plays."""
        address = self.pick(self.shared) if self.chance(0.6) else self.home()
        client = self.app(kind, self.app_agent(at), address, self.session())
        self.play(client, self.launch(client, at), matches, hasty)

    @ordinary
    def players(self) -> None:
        """Players, hasty ones, and those whom a push brings."""
        for _ in range(380):
            self.player("player", self.between(0, END - 600), self.whole(1, 5))
        for _ in range(20):
            self.player("frenzy-player", self.between(0, END - 600), 10, hasty=True)
        for _ in range(1100):
            self.player("push-storm", self.crowd(1800, 70), 1 if self.chance(0.15) else 0)

    @ordinary
    def staff(self) -> None:
        """Support looks up players, and testers start thirty devices at once."""
        office = self.home()
        for number in range(6):
            client, at = self.browser("support-agent", office, f"agent{number}"), self.between(0, 200)
            while at < END:
                path = f"/admin/players/{self.whole(10**6, 10**7)}"
                for part in ("", "/purchases", "/tickets", "/sanctions"):
                    client.send(
                        at + self.between(0, 1), "GET", path + part, self.draw({200: 0.93, 404: 0.07})
                    )
                at += self.gap(70) + 10
        address, agent = self.cloud(), "SkyRaid/4.3.0-rc2 (Android 14; okhttp/4.12)"
        for number in range(30):
            client = self.app("qa-farm", agent, address, self.session(), f"qa{number}")
            self.play(client, self.launch(client, 2700 + self.between(0, 4)), 2, hasty=True)

    @ordinary
    def programs(self) -> None:
        """A site that shows the best players, the servers of matches, and a monitor."""
        client = self.program("esports-poller", "axios/1.7.2", key=self.token(32))
        for at in self.every(5, 1):
            client.send(at, "GET", "/v3/leaderboard?league=12&top=100", 200, 15000)
        for number in range(3):
            client = self.program("game-server", agents.GO_2, key="svc-match")
            for at in self.every(0.4, number, jitter=0.9):
                client.send(at, "POST", "/internal/match/result", 200, 60)
        self.health_checks("kube-probe/1.30", 5)

    @ordinary
    def old_apps(self) -> None:
        """Apps that are too old, or whose session is over, and that try again and again."""
        agent = "SkyRaid/3.9.1 (Android 11; okhttp/4.9)"
        for number in range(12):
            address = self.pick(self.shared) if number % 2 else self.home()
            client = self.app("outdated-app", agent, address)
            for at in self.every(self.pick((5, 15, 30)), self.between(0, 2000)):
                client.send(at, "POST", "/auth/refresh", 426, 90)
        for number in range(10):
            address = self.pick(self.shared) if number % 2 else self.home()
            client = self.app("expired-token-app", self.app_agent(0), address, self.session())
            begin = self.between(0, 3000)
            for at in self.every(self.pick((3, 10, 15)), begin, begin + 900):
                client.send(at, "GET", "/v3/inbox", 401, 90)
                client.send(at + 0.2, "POST", "/auth/refresh", 401, 90)

    def cheater(self, key: bool = True) -> Client:
        """An abusive client that looks like the app at home."""
        return self.app(self.playing, ANDROID, self.home(), self.session() if key else "")

    @attack("action-spam-1acct")
    def spam_actions(self) -> None:
        """One account opens chests twelve times a second."""
        client, begin = self.cheater(), self.attack_begins
        self.launch(client, begin)
        for at in self.every(0.08, begin + 5, begin + 600):
            client.send(at, "POST", "/v3/chest/open", self.draw({200: 0.6, 409: 0.4}))

    @attack("action-spam-60acct")
    def spam_actions_from_many(self) -> None:
        """Sixty accounts do it more slowly."""
        for _ in range(60):
            client, begin = self.cheater(), self.attack_begins + self.between(0, 60)
            self.launch(client, begin)
            for at in self.every(0.7, begin + 5, begin + 420):
                client.send(at, "POST", "/v3/chest/open", self.draw({200: 0.7, 409: 0.3}))

    def _new_account(self, client: Client, at: float) -> None:
        """Registers a guest and takes the reward."""
        key = self.session()
        client.send(at, "POST", "/auth/guest", 201, 900)
        client.send(at + 0.4, "POST", "/v3/tutorial/skip", key=key)
        client.send(at + 0.7, "POST", "/v3/referral/claim", key=key)

    @attack("fake-accounts-20ip")
    def fake_accounts(self) -> None:
        """Twenty machines register accounts one after the other."""
        begin = self.attack_begins
        for _ in range(20):
            client = self.app(self.playing, ANDROID, self.rented())
            for at in self.every(4, begin + self.between(0, 5), begin + 900, 0.2):
                self._new_account(client, at)

    @attack("fake-accounts-300ip")
    def fake_accounts_from_many(self) -> None:
        """Three hundred homes register four accounts each."""
        for _ in range(300):
            client, at = self.cheater(key=False), self.attack_begins + self.between(0, 300)
            for _ in range(4):
                self._new_account(client, at)
                at += self.between(60, 180)

    @attack("coupon-guess-1acct")
    def guess_coupons(self) -> None:
        """One account guesses codes, three a second."""
        client, begin = self.cheater(), self.attack_begins
        self.launch(client, begin)
        for at in self.every(0.3, begin + 5, begin + 900):
            client.send(at, "POST", "/v3/redeem", self.draw({404: 99.5, 200: 0.5}), 90)

    @attack("coupon-guess-40acct")
    def guess_coupons_from_many(self) -> None:
        """Forty accounts guess codes each ten seconds."""
        for _ in range(40):
            client, begin = self.cheater(), self.attack_begins + self.between(0, 60)
            self.launch(client, begin)
            for at in self.every(10, begin + 5, self.attack_begins + 900, 0.5):
                client.send(at, "POST", "/v3/redeem", self.draw({422: 99.5, 200: 0.5}), 90)

    @attack("stuffing-1200ip")
    def stuff(self) -> None:
        """Twelve hundred addresses try one to three stolen passwords each."""
        for _ in range(1200):
            client = self.app(self.playing, ANDROID, self.anywhere())
            at = self.attack_begins + self.between(0, 900)
            for _ in range(self.whole(1, 3)):
                client.send(at, "POST", "/auth/login", self.draw({401: 0.98, 200: 0.02}), 120, 90)
                at += self.between(3, 60)

    @attack("player-enum-50ip")
    def enumerate_players(self) -> None:
        """Fifty accounts share the numbers of all players."""
        begin = self.attack_begins
        for source in range(50):
            client = self.app(self.playing, "okhttp/4.12", self.mixed(), self.session())
            for at in self.every(1, begin + self.between(0, 3), begin + 480, 0.5):
                path = f"/v3/player/{1000000 + int((at - begin) * 50) + source}"
                client.send(at, "GET", path, self.draw({200: 0.8, 404: 0.2}))

    @attack("flood-5ip")
    def flood(self) -> None:
        """Five machines, fifty requests a second each."""
        begin = self.attack_begins
        for _ in range(5):
            client = self.app(self.playing, "okhttp/4.12", self.rented())
            for at in self.every(1 / 50, begin, begin + 120, 0.5):
                path = f"/v3/leaderboard?league={self.whole(1, 12)}&page={self.whole(1, 500)}"
                client.send(at, "GET", path, self.draw({200: 0.7, 503: 0.3}), 15000, self.about(400))

    @attack("slow-flood-500ip")
    def flood_from_many(self) -> None:
        """Five hundred addresses search each five seconds."""
        begin = self.attack_begins
        for _ in range(500):
            client = self.app(self.playing, ANDROID, self.address(HOUSEHOLDS, CARRIERS))
            for at in self.every(5, begin + self.between(0, 30), begin + 300, 0.5):
                path = f"/v3/guild/search?q={self.token(3)}"
                client.send(at, "GET", path, self.draw({200: 0.85, 503: 0.15}), 8000, self.about(1500))
