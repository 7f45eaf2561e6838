"""A payment provider: merchants, shoppers, billing at the full hour, hooks of acquirers."""

from __future__ import annotations

from . import agents
from .api import HOUR, System, attack
from .agents import CURL_HEADERS, GO_1, GO_2, HOOK_HEADERS, OLD_PYTHON
from .world import END, ordinary

SDK = "PayGate/v1 PythonBindings/7.4"
SDKS = (SDK, "PayGate/v1 NodeBindings/12.1", "PayGate/v1 PhpBindings/10.2", "PayGate/v1 RubyBindings/9.0")
HOOK = "AcqNotify/2.1"
INTENTS = "/v1/payment_intents"
LEAKED_SHOP_KEY = "pk_live_" + "Zq7" * 8
DASHBOARD = (
    "me", "balance", "payments?limit=50", "charts/gross", "charts/net", "notifications", "payouts",
    "search?q=ann", "disputes",
)
WEAK_SPOTS = (
    "/.env", "/swagger.json", "/openapi.json", "/v2/admin", "/v1/internal/users", "/actuator/health",
    "/actuator/env", "/graphql", "/api-docs", "/v1/debug", "/console", "/v1/admin", "/metrics", "/v0/charges",
    "/.git/config", "/server-status", "/v1/users", "/v1/config", "/debug/pprof", "/v1/keys",
)


class Pay(System):
    """The payment provider."""

    name = "pay"
    page = "https://js.paygate.example/"
    deploy = (1320, 1360)
    attack_begins = 2100

    def secret(self) -> str:
        """A merchant's key."""
        return self.token(24, "sk_live_")

    def intent(self) -> str:
        """A payment."""
        return f"{INTENTS}/{self.token(24, 'pi_')}"

    @ordinary
    def merchants(self) -> None:
        """Shops take payments all day, one has a sale, and some ask each second how a payment goes."""
        for _ in range(40):
            client = self.program("merchant", self.pick(SDKS), key=self.secret())
            gap = self.pick((4, 8, 15, 30, 60))
            at = self.between(0, gap)
            while at < END:
                payment = self.intent()
                client.send(at, "POST", INTENTS, 200, 900)
                if self.chance(0.9):
                    status = self.draw({402: 0.06, 200: 0.94})
                    client.send(at + self.between(3, 20), "POST", f"{payment}/confirm", status, 1100,
                                self.about(700))
                if self.chance(0.5):
                    client.send(at + self.between(20, 40), "GET", payment, 200, 1100)
                if self.chance(0.05):
                    client.send(at + 60, "POST", "/v1/refunds")
                at += self.gap(gap)
        machines, at = [self.cloud() for _ in range(4)], 1500.0
        client = self.program("flash-sale", SDKS[1], machines[0], self.secret())
        while at < 2100:
            client.send(at, "POST", INTENTS, 200, 900, address=self.pick(machines))
            status = self.draw({402: 0.07, 200: 0.93})
            path = f"{self.intent()}/confirm"
            client.send(at + 4, "POST", path, status, 1100, 600, address=self.pick(machines))
            at += self.gap(1 / 6)
        for _ in range(8):
            client, at = self.program("status-poller", SDK, key=self.secret()), self.between(0, 60)
            while at < END:
                payment = self.intent()
                client.send(at, "POST", INTENTS)
                for _ in range(self.whole(5, 40)):
                    at += 1.0
                    client.send(at, "GET", payment, 200, 1100)
                at += self.gap(40)

    @ordinary
    def billing(self) -> None:
        """Subscriptions are billed at the full hour."""
        for _ in range(15):
            client = self.program("billing-cron", self.pick(SDKS), key=self.secret())
            at, pace = HOUR + self.between(0, 2), self.pick((2, 5, 10))
            for _ in range(self.whole(100, 700)):
                status = self.draw({402: 0.15, 200: 0.85})
                client.send(
                    at, "POST", f"/v1/invoices/in_{self.token(18)}/pay", status, 1500, self.about(400)
                )
                at += self.about(1 / pace)

    @ordinary
    def jobs(self) -> None:
        """Exports and imports: by cursor, by identifier, by number, and of new customers."""
        for number in range(2):
            client, at = self.program("export-cursor", SDK, key=self.secret()), 900.0 + number * 900
            for _ in range(1500):
                path = f"/v1/balance_transactions?limit=100&starting_after=txn_{self.token(20)}"
                client.send(at, "GET", path, 200, 60000, self.about(150))
                at += 0.2
        client, at = self.program("reconcile-by-id", GO_2, key=self.secret()), 1200.0
        for _ in range(4000):
            client.send(at, "GET", f"/v1/charges/ch_{self.token(22)}", 200, 1500)
            at += self.about(0.05)
        client, at = self.program("invoice-by-seq", "axios/1.7.2", key=self.secret()), 2400.0
        for number in range(1500):
            client.send(
                at, "GET", f"/v1/invoices/INV-{100234 + number}", self.draw({200: 98.5, 404: 1.5}), 1500
            )
            at += self.about(0.2)
        client, at = self.program("new-importer", agents.HTTPX, key=self.secret()), 2500.0
        for _ in range(4500):
            client.send(
                at, "POST", "/v1/customers", self.draw({200: 96, 409: 2, 422: 2}), 500, self.about(40)
            )
            at += self.about(0.045)

    @ordinary
    def shoppers(self) -> None:
        """Shoppers pay in the browser with the public key of their shop."""
        keys = [self.token(24, "pk_live_") for _ in range(20)]
        for _ in range(1400):
            client = self.browser("shopper", self.anywhere(), key=self.pick(keys))
            at = self.between(0, END - 200)
            client.send(at, "GET", "/v1/elements/sessions", 200, 5000)
            at += self.between(15, 90)
            for _ in range(self.draw({1: 0.9, 3: 0.1})):
                client.send(at, "POST", "/v1/payment_methods", self.draw({200: 0.94, 402: 0.06}), 900)
                status = self.draw({402: 0.07, 200: 0.93})
                client.send(at + 1, "POST", f"{self.intent()}/confirm", status, 900, 900)
                at += self.between(15, 40)
            if self.chance(0.3):
                client.send(at, "POST", "/v1/3ds2/authenticate")

    @ordinary
    def hooks(self) -> None:
        """Acquirers report, and one catches up with much at once."""
        for number, name in enumerate(("visa", "mc", "amex")):
            client = self.program("acquirer-hook", HOOK, headers=HOOK_HEADERS)
            path = f"/hooks/acquirer/{name}"
            for at in self.every(1, number, jitter=0.9):
                client.send(at, "POST", path, 200, 20)
            if number == 0:
                for at in self.every(0.05, 2280, 2400):
                    client.send(at, "POST", path, 200, 20)

    @ordinary
    def wrong_keys(self) -> None:
        """Keys that are no longer good, and a job that tries each item four times."""
        for every in (5, 10, 10, 30, 60):
            client = self.program("expired-key", self.pick(SDKS), key=self.secret())
            for at in self.every(every, self.between(0, 600)):
                client.send(at, "POST", INTENTS, 401, 180, 5)
        client, at = self.program("rolled-key-job", SDK, key=self.secret()), 1800.0
        for _ in range(80):
            for wait in (0, 0.5, 1, 2):
                at += wait
                client.send(at, "POST", "/v1/charges", 401, 180, 5)
            at += 0.3

    @ordinary
    def people(self) -> None:
        """Developers, merchants at their dashboards, monitors, and the tests of others."""
        paths = (INTENTS, "/v1/customers", "/v1/customers/cus_", "/v1/prices", "/v1/checkout/sessions",
                 "/v1/webhook_endpoints", "/v1/subscriptions")
        self.developers(
            8, paths, (200, 200, 400, 400, 404, 422, 401),
            programs=(agents.CURL, agents.POSTMAN, agents.PYTHON), methods=("POST", "GET", "POST"), most=10,
            pause=15, key="sk_test_", rest=200, headers=CURL_HEADERS + ["authorization"],
        )
        office = self.home()
        for number in range(30):
            address, user = office if number < 12 else self.home(), f"user{number}@shop.example"
            client = self.browser("dashboard-user", address, user, "https://dash.paygate.example/")
            at = self.between(0, 3000)
            for _ in range(self.whole(4, 15)):
                for name in self.dice.sample(DASHBOARD, self.whole(3, 8)):
                    client.send(at + self.between(0, 0.8), "GET", f"/dash/api/{name}")
                at += self.gap(40) + 4
        self.health_checks("Pingdom.com_bot_version_1.4", 10, 5, spread=10)
        for begin, agent in zip((600, 2000, 3700), SDKS):
            client, at = self.program("ci-testsuite", agent, key=self.token(24, "sk_test_")), float(begin)
            for _ in range(500):
                path = self.pick((INTENTS, "/v1/customers", "/v1/refunds", f"{self.intent()}/confirm",
                                  f"/v1/customers/cus_{self.token(14)}"))
                status = self.draw({200: 60, 402: 20, 400: 12, 404: 8})
                client.send(at, self.pick(("POST", "POST", "GET")), path, status)
                at += self.about(0.12)

    @attack("card-testing-1ip")
    def test_cards(self) -> None:
        """One machine tries cards with the public key of a shop, three a second."""
        client = self.program(self.playing, OLD_PYTHON, self.rented(), LEAKED_SHOP_KEY)
        begin = self.attack_begins
        for at in self.every(0.6, begin, begin + 600, 0.2):
            client.send(at, "POST", "/v1/payment_methods", self.draw({200: 0.8, 402: 0.2}), 700, 40)
            status = self.draw({402: 0.9, 200: 0.1})
            client.send(at + 0.2, "POST", f"{self.intent()}/confirm", status, 900, 700)

    @attack("card-testing-300ip")
    def test_cards_from_many(self) -> None:
        """Three hundred homes try some cards each."""
        for _ in range(300):
            client = self.browser(self.playing, page="", key=LEAKED_SHOP_KEY)
            at = self.attack_begins + self.between(0, 700)
            for _ in range(self.whole(4, 8)):
                client.send(at, "POST", "/v1/payment_methods", 200, 700, 40)
                status = self.draw({402: 0.87, 200: 0.13})
                client.send(at + self.between(0.5, 1.5), "POST", f"{self.intent()}/confirm", status, 900, 700)
                at += self.between(15, 60)

    @attack("key-guess-1ip")
    def guess_keys(self) -> None:
        """One machine guesses keys."""
        client, begin = self.program(self.playing, GO_1, self.rented()), self.attack_begins
        for at in self.every(0.1, begin, begin + 600):
            client.send(at, "GET", "/v1/balance", 401, 180, 4, key=self.secret())

    @attack("key-guess-60ip")
    def guess_keys_from_many(self) -> None:
        """Sixty addresses guess keys."""
        begin = self.attack_begins
        for _ in range(60):
            client = self.program(self.playing, GO_1, self.mixed())
            for at in self.every(5, begin + self.between(0, 5), begin + 900, 0.5):
                client.send(at, "GET", "/v1/balance", 401, 180, 4, key=self.secret())

    @attack("leaked-key-40ip")
    def use_leaked_key(self) -> None:
        """Forty addresses read customers with a key that leaked, while its owner goes on."""
        key, begin = self.secret(), self.attack_begins
        owner = self.program("merchant", SDK, key=key, actor="merchant-robbed")
        for at in self.every(4, 3, jitter=0.8):
            owner.send(at, "POST", INTENTS, 200, 900)
        for _ in range(40):
            client = self.program(
                self.playing, OLD_PYTHON, self.pick((self.rented, self.home, self.home))(), key
            )
            for at in self.every(2, begin + self.between(0, 60), begin + 600, 0.4):
                path = self.pick((f"/v1/customers?limit=100&starting_after=cus_{self.token(14)}",
                                  f"/v1/charges?limit=100&starting_after=ch_{self.token(22)}"))
                client.send(at, "GET", path, 200, 90000, 150)

    @attack("webhook-replay")
    def replay_hooks(self) -> None:
        """Somebody sends reports of an acquirer again."""
        client = self.program(self.playing, HOOK, self.rented(), headers=HOOK_HEADERS)
        for at in self.every(0.1, self.attack_begins, self.attack_begins + 300):
            client.send(at, "POST", "/hooks/acquirer/visa", self.draw({200: 0.6, 400: 0.4}), 20)

    @attack("flood-1key")
    def flood(self) -> None:
        """One key, 120 requests a second."""
        client, begin = self.program(self.playing, GO_2, key=self.secret()), self.attack_begins
        for at in self.every(1 / 120, begin, begin + 240, 0.5):
            client.send(at, "POST", INTENTS, self.draw({200: 0.7, 503: 0.3}), 900, self.about(900))

    @attack("slow-flood-400ip")
    def flood_from_many(self) -> None:
        """Four hundred homes ask for something expensive each four seconds."""
        begin = self.attack_begins
        for _ in range(400):
            client = self.browser(self.playing, page="", key=LEAKED_SHOP_KEY)
            for at in self.every(4, begin + self.between(0, 30), begin + 360, 0.5):
                path = f"/v1/elements/sessions?expand[]=all&n={self.whole(1, 9999)}"
                client.send(at, "GET", path, self.draw({200: 0.8, 503: 0.2}), 5000, self.about(1800))

    @attack("enum-random-1acct")
    def enumerate_charges(self) -> None:
        """One account tries identifiers of charges."""
        client = self.program(self.playing, OLD_PYTHON, self.rented(), self.secret())
        begin = self.attack_begins
        for at in self.every(0.125, begin, begin + 600):
            status = self.draw({404: 0.99, 403: 0.01})
            client.send(at, "GET", f"/v1/charges/ch_{self.token(22)}", status, 180, 8)

    @attack("api-scanner")
    def scan_paths(self) -> None:
        """A scanner."""
        self.scan(self.browser_agent(), WEAK_SPOTS, ("", "/", "?x=1", ".json", ".bak"), 0.3, 300)
