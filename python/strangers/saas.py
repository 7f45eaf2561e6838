"""A planner for teams in the browser: offices, imports, polling, sign-ups, codes by message."""

from __future__ import annotations

from . import agents
from .addresses import CARRIERS, HOUSEHOLDS
from .agents import CURL_HEADERS, GOOGLEBOT_SHORT
from .api import HOUR, Client, System, attack
from .world import END, ordinary

ASSETS = (
    "app.8f3a.js", "vendor.77b.js", "app.css", "icons.woff2", "chunk-board.js", "chunk-edit.js"
)
HEADLESS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/132.0.0.0 "
    "Safari/537.36"
)
WEAK_SPOTS = (
    "/.env", "/swagger.json", "/api/v1/users", "/api/admin", "/actuator/env", "/graphql", "/api-docs",
    "/api/debug", "/phpinfo.php", "/wp-login.php", "/.git/config", "/api/internal", "/backup.sql",
    "/api/keys",
)
LOGIN = "/api/login"
VERIFY = "/api/mfa/verify"
MESSAGE = "/api/auth/sms"


class Saas(System):
    """The planner."""

    name = "saas"
    page = "https://app.deskly.example/"
    signup_page = "https://app.deskly.example/signup"
    deploy = (1100, 1140)
    attack_begins = 2000

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.offices = [self.home() for _ in range(10)]

    def some_item(self) -> str:
        """A task."""
        return f"/api/items/{self.whole(20000, 90000)}"

    def open_page(self, client: Client, at: float) -> None:
        """Opens a board with all that its page asks for."""
        for name in self.dice.sample(ASSETS, self.whole(0, 6)):
            client.send(at + self.between(0, 0.6), "GET", f"/assets/{name}", self.pick((200, 304)), 50000, 5)
        board = f"boards/{self.whole(100, 900)}"
        for name in ("me", "workspaces", "notifications", "flags", board, f"{board}/items?page=1",
                     f"{board}/members", "recent", "presence", "billing/plan"):
            client.send(at + self.between(0.4, 1.6), "GET", f"/api/{name}")

    def work(self, client: Client, at: float, seconds: float, logs_in: bool) -> None:
        """Somebody works: searches, edits, pages through boards, comments."""
        until = at + seconds
        if logs_in:
            for _ in range(self.draw({0: 90, 1: 8, 2: 2})):
                client.send(at, "POST", LOGIN, 401, 90, 120)
                at += self.between(4, 15)
            client.send(at, "POST", LOGIN, 200, 600, 140)
            if self.chance(0.3):
                at += self.between(8, 25)
                client.send(at, "POST", VERIFY, self.draw({200: 0.9, 422: 0.1}))
            at += 1
        self.open_page(client, at)
        asked = at + 10
        while at < until:
            at += self.between(2, 25)
            share = self.dice.random()
            if share < 0.25:
                words = "quarterly report"[:self.whole(3, 12)]
                for length in range(2, len(words)):
                    client.send(at, "GET", f"/api/search?q={words[:length].replace(' ', '+')}")
                    at += 0.22
            elif share < 0.55:
                item = self.some_item()
                client.send(at, "GET", item, self.draw({200: 0.97, 404: 0.03}))
                for _ in range(self.whole(0, 8)):
                    at += 3
                    client.send(at, "PATCH", item, 200, 200)
            elif share < 0.62:
                self.open_page(client, at)
            elif share < 0.9:
                path = f"/api/boards/{self.whole(100, 900)}/items?page={self.whole(1, 9)}"
                client.send(at, "GET", path)
            else:
                client.send(at, "POST", f"{self.some_item()}/comments", 201)
            while asked < at:
                client.send(asked, "GET", "/api/notifications", 200, 60, 6)
                asked += 30

    @ordinary
    def workers(self) -> None:
        """Offices log in at the full hour, others work at home."""
        number = 0
        for office in self.offices:
            agent = self.browser_agent()
            for _ in range(self.whole(5, 22)):
                number += 1
                client = self.browser("office", office, f"w{number}@corp.example", agent=agent)
                self.work(client, HOUR + self.between(-60, 300), self.between(200, 1200), True)
        for number in range(70):
            client = self.browser("home-user", self.anywhere(), f"h{number}@corp.example")
            begin = self.between(0, END - 900)
            self.work(client, begin, self.between(100, 900), self.chance(0.5))

    @ordinary
    def pollers(self) -> None:
        """Tabs whose session is over, sockets by long polling, and boards on the wall."""
        for number in range(15):
            address = self.home() if number > 4 else self.offices[number]
            client = self.browser("forgotten-tab", address)
            for at in self.every(self.pick((10, 30)), self.between(0, 600), jitter=0.02):
                client.send(at, "GET", "/api/notifications", 401, 60, 4)
        for number in range(10):
            client, session = self.browser("long-poll", user=f"lp{number}@corp.example"), self.token(20)
            for at in self.every(4, self.between(0, 1500)):
                path = "/socket.io/?EIO=4&transport=polling&t="
                client.send(at, "GET", f"{path}{self.token(7)}&sid={session}", 200, 90, 3000)
                if self.chance(0.4):
                    client.send(at + 1, "POST", f"{path}{self.token(7)}&sid={session}", 200, 2, 5)
        for number in range(3):
            client = self.browser("wallboard-2s", self.offices[number], page="")
            path = f"/api/boards/{self.whole(100, 900)}/items?page=1"
            for at in self.every(2, number, jitter=0.02):
                client.send(at, "GET", path, 200, 9000)

    @ordinary
    def jobs(self) -> None:
        """An export, an import, a deletion of much, and a back-up."""
        client = self.program("export-cursor", agents.PYTHON, self.home(), user="admin@corp.example")
        at = 900.0
        for _ in range(1900):
            client.send(at, "GET", f"/api/export/tickets?cursor={self.token(24)}", 200, 80000, 180)
            at += self.about(0.25)
        client = self.program("contacts-import", "node-fetch/3.3", self.home(), user="ops@corp2.example")
        at = 1300.0
        for _ in range(7000):
            client.send(at, "POST", "/api/contacts", self.draw({201: 93, 422: 4, 409: 3}), 200, 25)
            at += self.about(0.042)
        client, at = self.browser("admin-bulk-delete", user="admin3@corp3.example"), 2500.0
        for number in range(900):
            client.send(at, "DELETE", f"/api/items/{51000 + number * 3}", 204)
            at += self.about(0.12)
        client = self.program("attachment-backup", "rclone/v1.68", self.home(), user="it@corp4.example")
        at = 2800.0
        for number in range(1500):
            status = self.draw({200: 0.97, 404: 0.03})
            client.send(at, "GET", f"/api/attachments/{70000 + number}/download", status, 250000, 200)
            at += self.about(0.5)

    @ordinary
    def programs(self) -> None:
        """An integration each minute, tests in a browser, monitors and a crawler of the help."""
        for number in range(12):
            address = self.pick(("54.86.9.23", "54.86.9.24", "34.198.4.5"))
            client = self.program("zapier-poll", "Zapier", address)
            for at in self.every(60, self.between(0, 60)):
                client.send(at, "GET", f"/api/triggers/new_items?board={100 + number}")
        paths = ("me", "boards/101", "items", "items/0", "search?q=zz")
        for begin in (700, 2200, 3600):
            client, at = self.browser("e2e-ci", self.cloud(), agent=HEADLESS), float(begin)
            for number in range(40):
                client.send(at, "POST", LOGIN, 200 if number % 4 else 401, 300, 140)
                for _ in range(12):
                    at += self.about(0.12)
                    status = self.draw({200: 85, 404: 8, 422: 7})
                    client.send(at, self.pick(("GET", "GET", "POST")), f"/api/{self.pick(paths)}", status)
                at += 0.5
        self.health_checks("Pingdom.com_bot_version_1.4", 20, 4, "/api/health", 10)
        address = f"66.249.66.{self.whole(1, 254)}"
        client = self.program("googlebot", GOOGLEBOT_SHORT, address, headers=CURL_HEADERS)
        for at in self.every(4, 0):
            status = self.draw({200: 0.93, 404: 0.07})
            client.send(at, "GET", f"/help/articles/{self.whole(1, 3000)}", status, 20000)

    @ordinary
    def newcomers(self) -> None:
        """People who sign up, and twenty-eight pupils who do so in three minutes."""
        for _ in range(150):
            client = self.browser("sign-up", self.address(HOUSEHOLDS, CARRIERS), page=self.signup_page)
            at = self._sign_up(client, self.between(0, END - 300), 0.85) + 20
            client.send(at, "POST", MESSAGE)
            at += self.between(10, 40)
            client.send(at, "POST", VERIFY, self.draw({200: 0.85, 422: 0.15}))
            client.send(at + 1, "GET", "/api/me")
        school = self.home()
        for _ in range(28):
            client = self.browser("classroom-signup", school, page=self.signup_page)
            at = self._sign_up(client, 3200 + self.between(0, 180), 0.8) + 10
            client.send(at, "POST", LOGIN)

    def _sign_up(self, client: Client, at: float, succeeds: float) -> float:
        """Fills the form in."""
        client.send(at, "GET", "/signup", 200, 9000)
        at += self.between(20, 60)
        client.send(at, "POST", "/api/signup", 201 if self.chance(succeeds) else 422)
        return at

    @ordinary
    def integrators(self) -> None:
        """Developers of others."""
        paths = (
            "/api/items", "/api/item/1", "/api/boards/1", "/api/webhooks", "/api/v2/items",
            "/api/oauth/apps",
        )
        self.developers(5, paths, (200, 400, 401, 404, 422))

    def repeat(
        self,
        client: Client,
        method: str,
        path: str,
        statuses: dict[int, float],
        every: float,
        seconds: float,
        size: int,
        took: float,
        delay: float = 0.0,
        jitter: float = 0.15,
    ) -> None:
        """An abusive client sends the same again and again."""
        begin = self.attack_begins
        for at in self.every(every, begin + self.between(0, delay), begin + seconds, jitter):
            client.send(at, method, path, self.draw(statuses), size, took)

    @attack("stuffing-1ip")
    def stuff(self) -> None:
        """One machine tries eight stolen passwords a second."""
        client = self.browser(self.playing, self.rented(), page="")
        self.repeat(client, "POST", LOGIN, {401: 0.99, 200: 0.01}, 0.125, 600, 90, 120)

    @attack("stuffing-1500ip")
    def stuff_from_many(self) -> None:
        """Fifteen hundred homes try one to three each."""
        for _ in range(1500):
            client = self.browser(self.playing, page="https://app.deskly.example/login")
            at = self.attack_begins + self.between(0, 900)
            for _ in range(self.whole(1, 3)):
                client.send(at, "POST", LOGIN, self.draw({401: 0.98, 200: 0.02}), 90, 120)
                at += self.between(3, 50)

    @attack("spray-25ip-slow")
    def spray(self) -> None:
        """Twenty-five addresses try one each forty seconds."""
        for _ in range(25):
            client = self.browser(self.playing, self.mixed(), page="")
            self.repeat(client, "POST", LOGIN, {401: 0.99, 200: 0.01}, 40, 1800, 90, 120, 40, 0.4)

    @attack("otp-guess-1ip")
    def guess_code(self) -> None:
        """One home guesses the code of an account whose password it has."""
        client, begin = self.browser(self.playing), self.attack_begins
        client.send(begin, "POST", LOGIN)
        for at in self.every(0.33, begin + 2, begin + 600):
            client.send(at, "POST", VERIFY, 422, 60, 20)

    @attack("otp-guess-50ip")
    def guess_code_from_many(self) -> None:
        """Fifty homes guess codes each eight seconds."""
        for _ in range(50):
            client = self.browser(self.playing)
            self.repeat(client, "POST", VERIFY, {422: 0.99, 429: 0.01}, 8, 900, 60, 20, 8, 0.5)

    @attack("sms-pump-1ip")
    def pump(self) -> None:
        """One machine has two messages a second sent."""
        client = self.browser(self.playing, self.rented(), page="")
        self.repeat(client, "POST", MESSAGE, {200: 1}, 0.5, 600, 40, 200)

    @attack("sms-pump-60ip")
    def pump_from_many(self) -> None:
        """Sixty addresses have one sent each eighteen seconds."""
        for _ in range(60):
            client = self.browser(self.playing, self.address(HOUSEHOLDS, CARRIERS), page=self.signup_page)
            self.repeat(client, "POST", MESSAGE, {200: 1}, 18, 900, 40, 200, 20, 0.5)

    @attack("fake-signup-40ip")
    def fake_signups(self) -> None:
        """Forty addresses sign up each twenty seconds."""
        begin = self.attack_begins
        for _ in range(40):
            client = self.browser(self.playing, self.mixed(), page=self.signup_page)
            for at in self.every(20, begin + self.between(0, 20), begin + 900, 0.5):
                client.send(at, "POST", "/api/signup", 201, 300)
                client.send(at + 0.5, "GET", "/api/me")

    def _read_others(self, user: str, every: float, seconds: float) -> None:
        """An account reads one task after the other, most of which are not its own."""
        client, begin = self.browser(self.playing, user=user), self.attack_begins
        for number, at in enumerate(self.every(every, begin, begin + seconds), 31001):
            client.send(at, "GET", f"/api/items/{number}", self.draw({403: 70, 200: 15, 404: 15}))

    @attack("idor-seq-1acct")
    def read_others(self) -> None:
        """Six a second."""
        self._read_others("x91@mail.example", 0.16, 600)

    @attack("idor-seq-slow")
    def read_others_slowly(self) -> None:
        """One each four seconds."""
        self._read_others("x92@mail.example", 4, 2000)

    @attack("idor-all-200")
    def read_attachments(self) -> None:
        """An account fetches one attachment after the other, and gets them all."""
        client, begin = self.browser(self.playing, user="x93@mail.example"), self.attack_begins
        for number, at in enumerate(self.every(0.5, begin, begin + 900), 31001):
            client.send(at, "GET", f"/api/attachments/{number}/download", 200, 250000, 150)

    @attack("reset-mail-flood-30ip")
    def bomb_resets(self) -> None:
        """Thirty homes have mails sent to people who forgot nothing."""
        for _ in range(30):
            client = self.browser(self.playing, page="")
            self.repeat(client, "POST", "/api/password/forgot", {202: 1}, 6, 600, 40, 60, 20, 0.4)

    @attack("slow-search-flood-300ip")
    def flood_search(self) -> None:
        """Three hundred homes search each four seconds."""
        begin = self.attack_begins
        for _ in range(300):
            client = self.browser(self.playing)
            for at in self.every(4, begin + self.between(0, 20), begin + 300, 0.4):
                status = self.draw({200: 0.85, 504: 0.15})
                client.send(at, "GET", f"/api/search?q={self.token(5)}", status, 900, self.about(3000))

    @attack("api-scanner")
    def scan_paths(self) -> None:
        """A scanner."""
        self.scan(self.browser_agent(), WEAK_SPOTS, ("", "/", "?x=1", ".json", ".bak"), 0.3, 300)
