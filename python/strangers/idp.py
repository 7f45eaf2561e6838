"""A service for logging in: tokens, keys to check them, browsers at nine o'clock, apps after a push."""

from __future__ import annotations

from . import agents
from .agents import CURL_HEADERS, GO_1, GO_2, OLD_PYTHON
from .api import HOUR, System, attack
from .world import END, ordinary

QUARTERS = (480, 1380, 2280, 3180, 4080)
IPHONE_APP, ANDROID_APP = "BankApp/9.2 (iOS 18.3)", "BankApp/9.2 (Android 14)"
TOKEN = "/oauth/token"


class Idp(System):
    """The service."""

    name = "idp"
    page = "https://id.corp.example/authorize"
    deploy = (1000, 1030)
    attack_begins = 2500

    def client_id(self) -> str:
        """A registered client."""
        return self.token(16, "cl_")

    @ordinary
    def key_fetchers(self) -> None:
        """Servers fetch the keys each five minutes, and one for each of its requests."""
        programs = ("Java/21.0.4", GO_2, agents.PYTHON, "jose/5.9")
        for _ in range(120):
            client = self.program("jwks-fetcher", self.pick(programs), headers=CURL_HEADERS)
            for at in self.every(300, self.between(0, 300), jitter=0.02):
                client.send(at, "GET", "/.well-known/openid-configuration", 200, 1800, 4)
                client.send(at + 0.1, "GET", "/oauth/jwks.json", 200, 2500, 4)
        client = self.program("jwks-each-request", "Java/17.0.9", headers=CURL_HEADERS)
        for at in self.every(0.4, 3, jitter=0.9):
            client.send(at, "GET", "/oauth/jwks.json", 200, 2500, 4)

    @ordinary
    def servers(self) -> None:
        """Programs that check or fetch tokens: seldom, at each quarter of an hour, or for each request."""
        for number, every in enumerate((0.15, 0.4, 1)):
            client = self.program("introspect-gateway", "lua-resty-http/0.17", key=self.client_id())
            for at in self.every(every, number, jitter=0.9):
                client.send(at, "POST", "/oauth/introspect", 200, 300, 6)
        for _ in range(30):
            agent = self.pick((GO_2, "axios/1.7.2", "Java/21.0.4"))
            client = self.program("client-credentials", agent, key=self.client_id())
            for at in self.every(self.pick((10, 60, 300, 300)), self.between(0, 60), jitter=0.3):
                client.send(at, "POST", TOKEN, 200, 900, 15)
        client = self.program("token-no-cache", "axios/0.27", key=self.client_id())
        for at in self.every(0.5, 1, jitter=0.9):
            client.send(at, "POST", TOKEN, 200, 900, 15)
        for _ in range(60):
            client = self.program("cron-token", agents.PYTHON, key=self.client_id())
            for quarter in QUARTERS:
                client.send(quarter + self.between(0, 1.5), "POST", TOKEN, 200, 900, 15)

    def log_in(self, kind: str, address: str, at: float, agent: str = "", mistakes: float = 0.1) -> None:
        """Somebody logs in with a browser."""
        client, state = self.browser(kind, address, agent=agent), self.token(8)
        site = self.pick(("web", "crm", "hr", "wiki"))
        path = f"/authorize?client_id={site}&state={state}&code_challenge={self.token(20)}"
        client.send(at, "GET", path, self.draw({302: 0.3, 200: 0.7}), 6000)
        client.send(at + 0.3, "GET", "/static/login.4f.js", 200, 40000, 3)
        client.send(at + 0.3, "GET", "/static/login.css", 200, 9000, 3)
        at += self.between(5, 25)
        while self.chance(mistakes):
            client.send(at, "POST", "/login", 401, 400, 110)
            at += self.between(4, 15)
        client.send(at, "POST", "/login", 302, 0, 120)
        if self.chance(0.4):
            at += self.between(6, 20)
            client.send(at, "POST", "/mfa", self.draw({302: 0.9, 400: 0.1}))
        client.send(at + 0.3, "GET", f"/authorize/resume?state={state}", 302, 0)
        client.send(at + 0.8, "POST", TOKEN, 200, 1600, 20)
        client.send(at + 1.2, "GET", "/userinfo", 200, 500, 8)

    @ordinary
    def people(self) -> None:
        """People log in at home, in offices at nine, and all at once in a school."""
        for _ in range(500):
            self.log_in("user-login", self.anywhere(), self.between(0, END - 200))
        for count in (20, 30, 60, 100, 25, 40, 15, 50):
            office, agent = self.home(), self.browser_agent()
            for _ in range(count):
                self.log_in("office-9am", office, HOUR + self.between(-120, 300), agent)
        school = self.home()
        for _ in range(280):
            self.log_in("school", school, 2100 + self.between(0, 240), agents.API_BROWSERS[4], 0.2)

    def _refresh(self, kind: str, agent: str, at: float, succeeds: float) -> None:
        """An app refreshes its token."""
        client = self.app(kind, agent, self.on_the_way())
        client.send(at, "POST", TOKEN, 200 if self.chance(succeeds) else 400, 1600, 20)
        client.send(at + 0.4, "GET", "/userinfo", 200, 500, 8)

    @ordinary
    def apps(self) -> None:
        """Apps refresh, many after a push, some for ever, and televisions wait for somebody to agree."""
        for _ in range(400):
            self._refresh("app-refresh", IPHONE_APP, self.between(0, END), 0.95)
        for _ in range(500):
            self._refresh("push-refresh", ANDROID_APP, self.crowd(2700, 60, 600), 0.93)
        for every in (1, 2, 5, 10, 30, 30):
            client = self.app("invalid-grant-loop", "PhotoSync/2.0 (Windows)", self.home())
            begin = self.between(0, 2500)
            for at in self.every(every, begin, begin + 1500):
                client.send(at, "POST", TOKEN, 400, 90, 10)
        for _ in range(25):
            client = self.app("tv-device-code", "TVApp/3 (Tizen 7)", self.home())
            at = self.between(0, END - 400)
            client.send(at, "POST", "/oauth/device/code")
            for _ in range(self.whole(6, 60)):
                at += 5
                client.send(at, "POST", TOKEN, 400, 70, 8)
            client.send(at + 5, "POST", TOKEN, 200, 1500)

    @ordinary
    def programs(self) -> None:
        """A directory that is synchronised, developers, a test of logging in, and monitors."""
        client, at = self.program("scim-sync", "SCIM-Client/1.0 Azure", key=self.client_id()), 1500.0
        for number in range(120):
            path = f"/scim/v2/Users?startIndex={1 + number * 100}&count=100"
            client.send(at, "GET", path, 200, 90000, 200)
            at += 0.5
        for _ in range(2500):
            status = self.draw({200: 0.98, 404: 0.02})
            client.send(at, self.pick(("PATCH", "PUT")), f"/scim/v2/Users/{self.uuid()}", status, 700, 40)
            at += self.about(0.06)
        paths = (TOKEN, TOKEN, "/authorize?client_id=test", "/userinfo", "/oauth2/token", "/oauth/introspect")
        statuses, methods = (200, 400, 401, 400, 404), ("GET", "POST", "POST")
        self.developers(4, paths, statuses, methods=methods, most=10, pause=15)
        agent = agents.API_BROWSERS[0].replace("Chrome", "HeadlessChrome")
        client, at = self.browser("ci-login-suite", self.cloud(), page="", agent=agent), 3300.0
        for _ in range(120):
            client.send(at, "GET", f"/authorize?client_id=test&state={self.token(8)}", 200, 6000)
            client.send(at + 0.3, "POST", "/login", self.draw({302: 60, 401: 30, 423: 10}))
            client.send(at + 0.6, "POST", TOKEN, self.draw({200: 0.7, 400: 0.3}))
            at += self.about(0.8)
        self.health_checks("ELB-HealthChecker/2.0", 10, 3, spread=3)

    @attack("stuffing-token-1ip")
    def stuff(self) -> None:
        """One machine tries ten stolen passwords a second."""
        client, begin = self.program(self.playing, OLD_PYTHON, self.rented()), self.attack_begins
        for at in self.every(0.1, begin, begin + 600):
            client.send(at, "POST", TOKEN, self.draw({400: 0.99, 200: 0.01}), 90, 110)

    @attack("stuffing-token-1500ip")
    def stuff_from_many(self) -> None:
        """Fifteen hundred homes with the app's name try one to three each."""
        for _ in range(1500):
            client = self.app(self.playing, IPHONE_APP, self.home())
            at = self.attack_begins + self.between(0, 900)
            for _ in range(self.whole(1, 3)):
                client.send(at, "POST", TOKEN, self.draw({400: 0.98, 200: 0.02}), 90, 110)
                at += self.between(5, 60)

    @attack("stuffing-login-400ip-browser")
    def stuff_with_browsers(self) -> None:
        """Four hundred homes use real browsers for it."""
        for _ in range(400):
            client, at = self.browser(self.playing), self.attack_begins + self.between(0, 900)
            for _ in range(self.whole(1, 3)):
                client.send(at, "GET", f"/authorize?client_id=web&state={self.token(8)}", 200, 6000)
                client.send(at + 0.4, "GET", "/static/login.4f.js", 200, 40000, 3)
                at += self.between(3, 9)
                client.send(at, "POST", "/login", self.draw({401: 0.98, 302: 0.02}), 400, 110)
                at += self.between(10, 40)

    @attack("client-secret-guess-1ip")
    def guess_secret(self) -> None:
        """One machine guesses the secret of a client."""
        client, begin = self.program(self.playing, GO_1, self.rented(), self.client_id()), self.attack_begins
        for at in self.every(0.5, begin, begin + 900):
            client.send(at, "POST", TOKEN, 401, 90, 10)

    @attack("mfa-guess-30ip")
    def guess_code(self) -> None:
        """Thirty homes guess codes each five seconds."""
        begin = self.attack_begins
        for _ in range(30):
            client = self.browser(self.playing, page="https://id.corp.example/mfa")
            for at in self.every(5, begin + self.between(0, 5), begin + 600, 0.4):
                client.send(at, "POST", "/mfa", 400, 90, 15)

    @attack("user-enum-lookup")
    def enumerate_users(self) -> None:
        """One machine asks which mail addresses have an account."""
        client, begin = self.program(self.playing, OLD_PYTHON, self.rented()), self.attack_begins
        for at in self.every(0.3, begin, begin + 600):
            path = f"/account/exists?email={self.token(7)}%40mail.example"
            client.send(at, "GET", path, self.draw({200: 0.3, 404: 0.7}), 40, 10)

    @attack("flood-authorize-5ip")
    def flood(self) -> None:
        """Five machines ask for the form, twenty-five times a second each."""
        begin = self.attack_begins
        for _ in range(5):
            client = self.browser(self.playing, self.rented(), page="")
            for at in self.every(1 / 25, begin, begin + 200, 0.5):
                path = f"/authorize?client_id=web&state={self.token(8)}"
                status = self.draw({200: 0.8, 503: 0.2})
                client.send(at, "GET", path, status, 6000, self.about(300))

    @attack("token-flood-1client")
    def flood_tokens(self) -> None:
        """One client fetches eighty tokens a second."""
        client, begin = self.program(self.playing, GO_2, key=self.client_id()), self.attack_begins
        for at in self.every(1 / 80, begin, begin + 240, 0.5):
            client.send(at, "POST", TOKEN, self.draw({200: 0.8, 503: 0.2}), 900, self.about(120))

    @attack("stolen-client-30ip-introspect")
    def use_stolen_client(self) -> None:
        """Thirty machines check tokens in the name of a client that was stolen."""
        begin = self.attack_begins
        for _ in range(30):
            client = self.program(self.playing, OLD_PYTHON, self.rented(), "cl_leaked00000001")
            for at in self.every(2, begin + self.between(0, 9), begin + 600, 0.5):
                client.send(at, "POST", "/oauth/introspect", 200, 120, 6)
