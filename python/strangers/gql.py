"""A shop behind GraphQL: servers that render, browsers, an app, partners, all on one path."""

from __future__ import annotations

from typing import NamedTuple

from . import agents
from .addresses import CARRIERS, HOUSEHOLDS
from .agents import CURL_HEADERS, GO_1, OLD_PYTHON
from .api import Client, System, attack
from .world import END, ordinary


class Operation(NamedTuple):
    """What an answer usually is like."""

    size: int
    took: float


LIST, PRODUCT = Operation(30000, 60), Operation(9000, 25)
SUGGEST, LOGIN, STOCK = Operation(900, 10), Operation(300, 110), Operation(200, 6)
OPERATIONS = (
    LIST, PRODUCT, Operation(2500, 15), Operation(600, 8), SUGGEST, Operation(7000, 6), Operation(6000, 30)
)
IPHONE_APP, ANDROID_APP = "ShopApp/5.1 (iOS 18.3)", "ShopApp/5.1 (Android 14)"
PERSISTED = (
    "&extensions=%7B%22persistedQuery%22%3A%7B%22version%22%3A1%2C%22sha256Hash%22%3A%22"
    + "ab12" * 8
    + "%22%7D%7D"
)


class Gql(System):
    """The shop."""

    name = "gql"
    page = "https://shop.example/"
    deploy = (1500, 1540)
    attack_begins = 2600

    def ask(
        self, client: Client, at: float, operation: Operation | None = None, status: int = 200,
        size: int | None = None, took: float | None = None,
    ) -> None:
        """Asks by POST, where the path does not tell what for."""
        operation = operation or self.pick(OPERATIONS)
        size = int(self.about(size or operation.size))
        client.send(at, "POST", "/graphql", status, size, self.about(took or operation.took, 0.5))

    def ask_persisted(self, client: Client, at: float, number: int, status: int = 200) -> None:
        """Asks for a product by GET with a query that the server knows."""
        path = f"/graphql?operationName=Product&variables=%7B%22id%22%3A{number}%7D{PERSISTED}"
        size = int(self.about(9000 if status == 200 else 200))
        client.send(at, "GET", path, status, size, self.about(25, 0.5))

    def shop(self, client: Client, at: float, views: int) -> None:
        """Somebody looks at products, and buys now and then."""
        for _ in range(views):
            for _ in range(self.whole(2, 6)):
                self.ask(client, at + self.between(0, 0.5))
            if self.chance(0.7):
                self.ask_persisted(client, at + 0.3, self.whole(1, 30000))
            at += self.between(4, 40)
        if self.chance(0.15):
            self.ask(client, at, LOGIN)
            self.ask(client, at + 5, Operation(700, 400))

    def shop_in_app(self, kind: str, agent: str, at: float, views: int) -> None:
        """The same in the app."""
        self.shop(self.app(kind, agent, self.on_the_way(), self.token(40, "eyJ")), at, views)

    @ordinary
    def shoppers(self) -> None:
        """Shoppers in browsers and in the app, many after a push, and an office at noon."""
        for _ in range(450):
            client = self.browser("web-shopper", self.anywhere())
            self.shop(client, self.between(0, END - 400), self.whole(2, 15))
        for _ in range(300):
            self.shop_in_app("app-shopper", IPHONE_APP, self.between(0, END - 400), self.whole(2, 12))
        for _ in range(900):
            self.shop_in_app("push-storm", ANDROID_APP, self.crowd(1900, 80), self.whole(1, 3))
        office = self.home()
        for _ in range(30):
            self.shop(self.browser("office-lunch", office), 3000 + self.between(0, 600), self.whole(5, 20))

    @ordinary
    def typists(self) -> None:
        """Searches that ask at each key, and pages that ask each two seconds what is in stock."""
        for _ in range(8):
            client, at = self.browser("search-as-you-type"), self.between(0, END - 900)
            for _ in range(40):
                for _ in range(self.whole(4, 12)):
                    self.ask(client, at, SUGGEST)
                    at += 0.2
                at += self.between(3, 20)
        for number in range(3):
            client = self.browser("subscription-poll")
            for at in self.every(2, number * 300):
                self.ask(client, at, STOCK)

    @ordinary
    def servers(self) -> None:
        """Servers that render pages, a partner's feed, an import, tests, and a monitor."""
        for number in range(3):
            client = self.program("ssr-server", "next.js/14 node-fetch", key="svc-web")
            for at in self.every(0.25, number, jitter=0.9):
                self.ask(client, at)
        client, at = self.program("partner-feed", "Apollo-Java/4.0", key=self.digits16(20, "pt_")), 900.0
        for _ in range(3000):
            self.ask(client, at, Operation(120000, 300))
            at += self.about(0.25)
        client, at = self.program("catalog-importer", agents.HTTPX, key=self.digits16(20, "pim_")), 3300.0
        for _ in range(5000):
            self.ask(client, at, Operation(300, 30))
            at += self.about(0.035)
        for at in (800.0, 2600.0):
            client = self.program("ci-codegen-e2e", "node-fetch/3.3", key=self.digits16(20, "ci_"))
            for _ in range(400):
                self.ask(client, at, None, self.draw({200: 85, 400: 15}))
                at += self.about(0.1)
        self.health_checks("kube-probe/1.30", 10)

    @ordinary
    def others(self) -> None:
        """Developers who try queries, and apps whose session is over."""
        for _ in range(5):
            agent = self.pick((f"GraphiQL/3 {agents.API_BROWSERS[0]}", "insomnia/10.1"))
            client = self.program("developer", agent, self.home(), headers=CURL_HEADERS)
            at = self.between(0, 1500)
            while at < END:
                self.ask(client, at, Operation(180000, 60))
                for _ in range(self.whole(3, 10)):
                    self.ask(client, at, None, self.pick((200, 400, 400)))
                    at += self.between(4, 20)
                at += self.gap(300)
        for every in (1, 3, 10, 30):
            address = self.address(CARRIERS, HOUSEHOLDS)
            client = self.app("expired-token-app", "ShopApp/5.0 (Android 13)", address, self.token(40, "eyJ"))
            begin = self.between(0, 2000)
            for at in self.every(every, begin, begin + 1200):
                self.ask(client, at, Operation(90, 5), 401)

    @attack("heavy-query-1ip")
    def ask_heavily(self) -> None:
        """One machine asks for so much that each answer takes seven seconds."""
        client, begin = self.program(self.playing, OLD_PYTHON, self.rented()), self.attack_begins
        for at in self.every(0.7, begin, begin + 600, 0.3):
            self.ask(client, at, None, self.draw({200: 0.7, 504: 0.3}), 2500000, 7000)

    @attack("heavy-query-20ip")
    def ask_heavily_from_many(self) -> None:
        """Twenty homes do it each five seconds."""
        begin = self.attack_begins
        for _ in range(20):
            client = self.browser(self.playing)
            for at in self.every(5, begin + self.between(0, 9), begin + 600, 0.4):
                self.ask(client, at, None, self.draw({200: 0.8, 504: 0.2}), 1500000, 6000)

    @attack("login-alias-batch-1ip")
    def stuff_in_batches(self) -> None:
        """One machine tries many passwords in each query."""
        client, begin = self.program(self.playing, GO_1, self.rented()), self.attack_begins
        for at in self.every(0.5, begin, begin + 600):
            self.ask(client, at, None, 200, 40000, 2500)

    @attack("stuffing-gql-200-1ip")
    def stuff(self) -> None:
        """One machine tries stolen passwords, and failures answer 200."""
        client, begin = self.program(self.playing, OLD_PYTHON, self.rented()), self.attack_begins
        for at in self.every(0.2, begin, begin + 600):
            self.ask(client, at, Operation(220, 115))

    @attack("price-scrape-get-1ip")
    def scrape(self) -> None:
        """One machine asks for one product after the other."""
        client = self.program(self.playing, "Scrapy/2.11", self.rented(), headers=CURL_HEADERS)
        begin = self.attack_begins
        for number, at in enumerate(self.every(0.3, begin, begin + 900), 1):
            self.ask_persisted(client, at, number, self.draw({200: 0.9, 404: 0.1}))

    @attack("price-scrape-get-slow")
    def scrape_slowly(self) -> None:
        """A browser at home does it each three seconds."""
        client = self.browser(self.playing)
        for number, at in enumerate(self.every(3, self.attack_begins), 1):
            self.ask_persisted(client, at, number)

    @attack("price-scrape-get-60ip")
    def scrape_from_many(self) -> None:
        """Sixty homes share the list."""
        begin = self.attack_begins
        for source in range(60):
            client, at = self.browser(self.playing), begin + self.between(0, 8)
            while at < begin + 1200:
                self.ask_persisted(client, at, 1 + int((at - begin) * 10) + source)
                at += self.between(3, 9)

    @attack("price-scrape-post-1ip")
    def scrape_by_post(self) -> None:
        """One machine does it by POST, where no path tells."""
        client, begin = self.program(self.playing, "node-fetch/3.3", self.rented()), self.attack_begins
        for at in self.every(0.3, begin, begin + 900):
            self.ask(client, at, PRODUCT)

    @attack("flood-5ip")
    def flood(self) -> None:
        """Five machines, thirty requests a second each."""
        begin = self.attack_begins
        for _ in range(5):
            client = self.program(self.playing, GO_1, self.rented())
            for at in self.every(1 / 30, begin, begin + 180, 0.5):
                self.ask(client, at, LIST, self.draw({200: 0.7, 503: 0.3}), None, 700)

    @attack("slow-flood-400ip")
    def flood_from_many(self) -> None:
        """Four hundred homes ask each four seconds."""
        begin = self.attack_begins
        for _ in range(400):
            client = self.browser(self.playing)
            for at in self.every(4, begin + self.between(0, 20), begin + 300, 0.5):
                self.ask(client, at, LIST, self.draw({200: 0.8, 503: 0.2}), None, 1500)
