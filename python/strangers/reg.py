"""A registry of packages, a service for language models, and weather by address, on one platform."""

from __future__ import annotations

from . import agents
from .agents import APP_HEADERS, CURL_HEADERS, GO_1, OLD_PYTHON
from .api import HOUR, Client, System, attack
from .world import END, ordinary

PACKAGES = [
    f"{first}-{second}"
    for first in "acme core net http json fast micro tiny auth data flow graph sync task ui web".split()
    for second in (
        "utils core client server parser types cli sdk kit plugin loader router "
        "store cache queue lint"
    ).split()
]
NPM = "npm/10.8.2 node/v20.17.0 linux x64 workspaces/false"
INSTALLERS = (
    f"{NPM} ci/github-actions",
    "pnpm/9.7.0 npm/? node/v20.17.0 linux x64",
    "yarn/1.22.22 npm/? node/v18.20.4 linux x64",
)
LAPTOP = "npm/10.8.2 node/v22.6.0 darwin arm64 workspaces/false"
MODEL_SDK = "openai-python/1.40"
COMPLETIONS = "/ml/v1/completions"


class Reg(System):
    """The platform."""

    name = "reg"
    page = "https://registry.example/"
    deploy = (1200, 1230)
    attack_begins = 2000

    def package(self) -> str:
        """A package."""
        return self.pick(PACKAGES)

    def key(self, prefix: str) -> str:
        """A key."""
        return self.token(24, prefix)

    def place(self, digits: int) -> str:
        """Somewhere in Europe."""
        return f"lat={self.between(35, 60):.{digits}f}&lon={self.between(-10, 30):.{digits}f}"

    def keyless(self, kind: str, agent: str, address: str = "") -> Client:
        """A program without a key."""
        return self.program(kind, agent, address, headers=CURL_HEADERS)

    def install(self, client: Client, at: float, rate: float, count: int, private: float = 0.01) -> None:
        """A package manager fetches what a project needs; some names are not in this registry."""
        for name in self.dice.sample(PACKAGES, min(count, len(PACKAGES))):
            client.send(at, "GET", f"/{name}", self.draw({304: 0.4, 200: 0.6}), 20000, 8)
            if self.chance(private):
                client.send(at + 0.05, "GET", f"/@internal%2f{name}", 404, 50, 4)
            if self.chance(0.8):
                version = f"{self.whole(0, 9)}.{self.whole(0, 20)}.{self.whole(0, 9)}"
                client.send(at + 0.1, "GET", f"/{name}/-/{name}-{version}.tgz", 200, 90000, 30)
            at += self.about(1 / rate)

    @ordinary
    def installers(self) -> None:
        """Builds behind four addresses and at the full hour, laptops, and an office."""
        egress = [self.cloud() for _ in range(4)]
        for _ in range(60):
            client = self.keyless("ci-burst-nat", self.pick(INSTALLERS), self.pick(egress))
            self.install(client, self.between(0, END - 60), self.pick((20, 40, 60)), self.whole(60, 200))
        for _ in range(25):
            client = self.keyless("ci-nightly-on-the-hour", self.pick(INSTALLERS))
            self.install(client, HOUR + self.between(0, 3), 40, 150)
        for _ in range(180):
            client = self.keyless("dev-laptop", LAPTOP, self.home())
            self.install(client, self.between(0, END - 60), self.pick((10, 30)), self.whole(5, 80))
        office = self.home()
        for _ in range(15):
            client = self.keyless("office-devs", LAPTOP, office)
            self.install(client, 600 + self.between(0, 600), 20, self.whole(40, 150), 0.05)

    @ordinary
    def mirrors(self) -> None:
        """Mirrors, a bot that looks for updates, and a proxy that asks for names it keeps itself."""
        client = self.program("mirror", "verdaccio/5.32", key=self.key("tk_"))
        for at in self.every(2, 1):
            client.send(at, "GET", f"/-/changes?since={int(900000 + at * 3)}&limit=100", 200, 15000)
        client, at = self.program("mirror-full-sync", "Artifactory/7.90", key=self.key("tk_")), 1500.0
        for number in range(5000):
            path = f"/{self.pick('abcdefgh')}-{self.package()}-{number}"
            client.send(at, "GET", path, self.draw({200: 0.97, 404: 0.03}), 20000, 8)
            at += self.about(0.1)
        client = self.program("update-bot", "renovate/38.0", key=self.key("tk_"))
        for quarter in range(5):
            at = HOUR + quarter * 900
            for name in PACKAGES:
                client.send(at, "GET", f"/{name}", self.draw({304: 0.8, 200: 0.2}), 20000, 8)
                at += self.about(0.1)
        client = self.program("corp-proxy-private-404", "Nexus/3.71")
        for at in self.every(1.5, 5, jitter=0.8):
            client.send(at, "GET", f"/@corp%2f{self.package()}", 404, 50, 4)

    @ordinary
    def people(self) -> None:
        """People search and publish, and builds go on with a token that is no longer good."""
        for _ in range(40):
            client, at = self.browser("web-search"), self.between(0, END - 400)
            for _ in range(self.whole(3, 15)):
                path = f"/-/v1/search?text={self.package()[:self.whole(3, 8)]}"
                client.send(at, "GET", path, 200, 12000, 60)
                client.send(at + 4, "GET", f"/package/{self.package()}", 200, 30000)
                at += self.between(5, 40)
        for _ in range(30):
            client = self.program("publisher", INSTALLERS[0], self.home(), self.key("tk_"))
            at, path = self.between(0, END - 60), f"/{self.package()}"
            client.send(at, "GET", path)
            client.send(at + 2, "PUT", path, self.pick((200, 200, 403, 409)))
            client.send(at + 3, "GET", "/-/whoami")
        for number in range(3):
            client = self.program("expired-token-ci", INSTALLERS[0], key=self.key("tk_"))
            for build in range(6):
                at = 300.0 + build * 700 + number * 50
                for _ in range(30):
                    client.send(at, "GET", f"/@team%2f{self.package()}", 401, 60, 4)
                    at += self.about(0.3)

    @ordinary
    def models(self) -> None:
        """Programs that call language models, one by one or in batches."""
        for _ in range(30):
            client = self.program("ml-chat-app", MODEL_SDK, key=self.key("ml_"))
            for at in self.every(self.pick((5, 10, 30)), self.between(0, 30), jitter=0.9):
                status = self.draw({200: 0.97, 529: 0.03})
                client.send(at, "POST", COMPLETIONS, status, 3000, self.about(9000, 0.7))
        client, at = self.program("ml-batch-embed", MODEL_SDK, key=self.key("ml_")), 2500.0
        for _ in range(4500):
            client.send(at, "POST", "/ml/v1/embeddings", 200, 20000, self.about(160))
            at += self.about(0.05)
        client, at = self.program("ml-batch-eval", "aiohttp/3.10", key=self.key("ml_")), 3000.0
        for _ in range(2500):
            status = self.draw({200: 0.93, 529: 0.07})
            client.send(at, "POST", COMPLETIONS, status, 3000, self.about(7000))
            at += self.about(0.15)
        client = self.program("ml-job-poller", "axios/1.7.2", key=self.key("ml_"))
        for at in self.every(1, 9, jitter=0.02):
            client.send(at, "GET", "/ml/v1/jobs/job_8f2aa1", 200, 200, 5)

    @ordinary
    def weather(self) -> None:
        """Homes ask each ten minutes, a third of them at any second, apps now and then, forms at each key."""
        for number in range(350):
            client = self.keyless("home-automation", "HomeAssistant/2025.2 aiohttp/3.11", self.home())
            path = f"/geo/v1/forecast?{self.place(2)}"
            begin = self.pick((180, 480)) + self.between(0, 2) if number % 3 else self.between(0, 600)
            for at in self.every(600, begin, jitter=0.002):
                client.send(at, "GET", path, 200, 4000, 20)
        for _ in range(300):
            client = self.program(
                "weather-app", "WeatherNow/3.3 (Android 14)", self.carrier(), headers=APP_HEADERS
            )
            at = self.between(0, END)
            for name in ("forecast?", "alerts?", "radar/tiles?z=6&"):
                client.send(at, "GET", f"/geo/v1/{name}{self.place(3)}", 200, 4000, 20)
                at += 0.2
        for number in range(25):
            client = self.browser("geocode-autocomplete", page=f"https://shop{number}.example/")
            at = self.between(0, END - 200)
            for _ in range(self.whole(5, 20)):
                path = f"/geo/v1/autocomplete?q={self.token(self.whole(3, 9))}"
                client.send(at, "GET", path, 200, 900, 12)
                at += self.pick((0.2, 0.2, 0.3, 4))

    @ordinary
    def experimenters(self) -> None:
        """A scientist fetches a grid, and a hackathon tries everything from one address."""
        client, at = self.keyless("scientist-batch", agents.PYTHON, self.home()), 2200.0
        for number in range(1500):
            latitude, longitude = 50 + (number // 40) * 0.1, 8 + (number % 40) * 0.1
            path = f"/geo/v1/history?lat={latitude:.1f}&lon={longitude:.1f}&year=2023"
            client.send(at, "GET", path, 200, 30000, 90)
            at += self.about(0.5)
        paths = ("forecast?lat=52.5&lon=13.4", "forcast?lat=1", "geocode?q=berlin", "alerts?lat=x")
        address = self.home()
        for _ in range(20):
            agent = self.pick((agents.PYTHON, "node-fetch/3.3", self.browser_agent(), agents.CURL))
            client, at = self.keyless("hackathon-nat", agent, address), 1000 + self.between(0, 600)
            for _ in range(self.whole(10, 80)):
                status = self.draw({200: 75, 404: 8, 400: 10, 422: 7})
                client.send(at, "GET", f"/geo/v1/{self.pick(paths)}", status)
                at += self.gap(15)

    @attack("name-enum-1ip")
    def enumerate_names(self) -> None:
        """One machine looks for private names that nobody registered yet."""
        client, begin = self.keyless(self.playing, OLD_PYTHON, self.rented()), self.attack_begins
        for at in self.every(0.12, begin, begin + 600):
            path = f"/{self.pick(('corp', 'int', 'priv', 'acme'))}-{self.token(6).lower()}"
            client.send(at, "GET", path, self.draw({404: 0.97, 200: 0.03}), 50, 4)

    @attack("token-guess-1ip")
    def guess_tokens(self) -> None:
        """One machine guesses tokens."""
        client, begin = self.keyless(self.playing, agents.CURL, self.rented()), self.attack_begins
        for at in self.every(0.4, begin, begin + 600):
            client.send(at, "GET", "/-/whoami", 401, 50, 4, key=self.key("tk_"))

    @attack("spam-publish-20acct")
    def publish_spam(self) -> None:
        """Twenty accounts publish a package each four seconds."""
        begin = self.attack_begins
        for _ in range(20):
            client = self.program(self.playing, NPM, self.mixed(), self.key("tk_"))
            for at in self.every(4, begin + self.between(0, 9), begin + 900, 0.5):
                client.send(at, "PUT", f"/{self.token(12).lower()}", 201, 100, 200)

    @attack("download-inflation-80ip")
    def inflate(self) -> None:
        """Eighty addresses download one package again and again, so that it looks liked."""
        begin = self.attack_begins
        for _ in range(80):
            client = self.keyless(self.playing, NPM, self.mixed())
            for at in self.every(2, begin + self.between(0, 9), begin + 600, 0.5):
                client.send(at, "GET", "/evil-kit/-/evil-kit-1.0.0.tgz", 200, 90000, 30)

    @attack("ml-leaked-key-40ip")
    def use_leaked_key(self) -> None:
        """Forty addresses use a key that leaked."""
        begin = self.attack_begins
        for _ in range(40):
            agent = self.pick((MODEL_SDK, "SillyTavern/1.12", "node-fetch/3.3"))
            client = self.program(self.playing, agent, self.mixed(), "ml_leakedkey000000000000")
            for at in self.every(10, begin + self.between(0, 60), begin + 1200, 0.6):
                status = self.draw({200: 0.9, 529: 0.1})
                client.send(at, "POST", COMPLETIONS, status, 3000, self.about(20000, 0.5))

    @attack("ml-trial-account-farm")
    def farm_trials(self) -> None:
        """Sixty machines use up the trial of a new account each."""
        for _ in range(60):
            client = self.program(self.playing, MODEL_SDK, self.rented(), self.key("ml_"))
            begin = self.attack_begins + self.between(0, 900)
            client.send(begin, "POST", "/signup", 201)
            client.send(begin + 1, "POST", "/keys", 201)
            for at in self.every(4, begin + 2, begin + 240, 0.5):
                client.send(at, "POST", COMPLETIONS, 200, 3000, self.about(15000, 0.5))

    def _forecast(self, client: Client, at: float, number: int) -> None:
        """Asks for a point of a grid."""
        path = f"/geo/v1/forecast?lat={35 + (number // 100) * 0.1:.1f}&lon={-10 + (number % 100) * 0.1:.1f}"
        client.send(at, "GET", path, 200, 4000, 20)

    @attack("geo-grid-scrape-fast")
    def scrape_grid(self) -> None:
        """One machine fetches a grid."""
        client, begin = self.keyless(self.playing, OLD_PYTHON, self.rented()), self.attack_begins
        for number, at in enumerate(self.every(0.06, begin, begin + 600), 1):
            self._forecast(client, at, number)

    @attack("geo-grid-scrape-100ip")
    def scrape_grid_from_many(self) -> None:
        """A hundred addresses share the grid."""
        begin = self.attack_begins
        for source in range(100):
            client = self.keyless(self.playing, self.browser_agent(), self.mixed())
            times = self.every(4, begin + self.between(0, 6), begin + 900, 0.5)
            for number, at in enumerate(times, source * 40 + 1):
                self._forecast(client, at, number)

    @attack("geo-flood-5ip-history")
    def flood(self) -> None:
        """Five machines ask for expensive history, twenty-five times a second each."""
        begin = self.attack_begins
        for _ in range(5):
            client = self.keyless(self.playing, GO_1, self.rented())
            for at in self.every(0.04, begin, begin + 180, 0.4):
                path = f"/geo/v1/history?{self.place(2)}&year={self.whole(1990, 2024)}"
                client.send(at, "GET", path, self.draw({200: 0.7, 503: 0.3}), 30000, self.about(900))
