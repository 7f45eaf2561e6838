"""A freight service: rates, shipments, batches at the full hour, tracking for everybody."""

from __future__ import annotations

from . import agents
from .addresses import CARRIERS, HOUSEHOLDS
from .agents import OLD_PYTHON
from .api import HOUR, System, attack
from .world import END, ordinary

SDKS = (
    "FreightSDK-java/5.2", "FreightSDK-dotnet/3.9", agents.PYTHON,
    "SAP NetWeaver Application Server (1.0;753)", "axios/1.7.2",
)
QUARTERS = (480, 1380, 2280, 3180, 4080)
WEAK_SPOTS = (
    "/.env", "/swagger.json", "/v3/rates", "/v2/admin", "/v1/users", "/actuator/env", "/v2/internal",
    "/api-docs", "/v2/debug", "/sap/bc/ping", "/.git/config", "/v2/keys",
)


class Logi(System):
    """The freight service."""

    name = "logi"
    page = "https://track.freight.example/"
    deploy = (1200, 1230)
    attack_begins = 2000

    def parcel(self) -> str:
        """A number to track."""
        return f"1Z{self.whole(0, 10**9 - 1):09d}"

    def key(self, prefix: str = "fk_") -> str:
        """A customer's key."""
        return self.token(24, prefix)

    @ordinary
    def shippers(self) -> None:
        """Shops ask for rates and send parcels, some all of them at the full hour."""
        for _ in range(40):
            client = self.program("shipper", self.pick(SDKS), key=self.key())
            gap = self.pick((10, 20, 40, 90))
            at = self.between(0, gap)
            while at < END:
                client.send(at, "POST", "/v2/rates", 200, 1500, self.about(250))
                if self.chance(0.5):
                    client.send(at + 3, "POST", "/v2/addresses/validate", self.draw({200: 0.9, 422: 0.1}))
                    status = self.draw({201: 0.95, 422: 0.05})
                    client.send(at + 5, "POST", "/v2/shipments", status, 900, self.about(300))
                    client.send(at + 6, "GET", f"/v2/labels/{self.parcel()}.pdf", 200, 40000)
                at += self.gap(gap)
        for _ in range(14):
            client = self.program("batch-on-the-hour", self.pick(SDKS), key=self.key())
            rate = self.pick((5, 10, 20, 40))
            for hour, seconds in ((HOUR, 60), (HOUR + 3600, 12)):
                at = hour + self.between(0, 2)
                for _ in range(rate * seconds):
                    status = self.draw({201: 0.96, 422: 0.04})
                    client.send(at, "POST", "/v2/shipments", status, 900, self.about(300))
                    at += self.about(1 / rate)

    @ordinary
    def trackers(self) -> None:
        """Shops track their own numbers in a row each quarter of an hour, or five of them all the time."""
        for _ in range(10):
            client = self.program("track-poller-seq", self.pick(SDKS), key=self.key())
            first, count = self.whole(10**8, 9 * 10**8), self.pick((60, 150, 300))
            for quarter in QUARTERS:
                at = quarter + self.between(0, 20)
                for number in range(count):
                    status = self.draw({200: 0.99, 404: 0.01})
                    client.send(at, "GET", f"/v2/track/1Z{first + number:09d}", status, 600, 8)
                    at += self.about(0.2)
        for _ in range(6):
            client = self.program("track-poller-10s", self.pick(SDKS), key=self.key())
            parcels = [self.parcel() for _ in range(5)]
            for at in self.every(10, self.between(0, 10)):
                for number, parcel in enumerate(parcels):
                    client.send(at + number * 0.1, "GET", f"/v2/track/{parcel}", 200, 600, 8)

    @ordinary
    def warehouses(self) -> None:
        """Handheld scanners, those of a warehouse behind one address."""
        for number, count in enumerate((60, 25, 15)):
            address, until = self.home(), END if number else 3000
            for _ in range(count):
                client = self.app(
                    "warehouse-handheld", "ZebraTC52/WMS 8.1 okhttp/4.9", address, self.key("hh_")
                )
                at = self.between(0, 200)
                while at < until:
                    client.send(at, "POST", "/v2/scans", self.draw({200: 0.98, 409: 0.02}), 60, 12)
                    at += self.between(4, 25)

    @ordinary
    def feeds(self) -> None:
        """Carriers report where parcels are, and one catches up with much at once."""
        for number in range(4):
            client = self.program("carrier-status-feed", "CarrierPush/1.0", key=self.key("cf_"))
            for at in self.every(self.pick((1, 2, 4)), number, jitter=0.9):
                client.send(at, "POST", "/v2/events", 202, 10)
            if number == 0:
                for at in self.every(1 / 30, 1800, 1980):
                    client.send(at, "POST", "/v2/events", 202, 10)

    @ordinary
    def jobs(self) -> None:
        """Exports, imports, a clean-up of addresses, and a comparison of rates."""
        client, at = self.program("manifest-export", "Java/11.0.2", key=self.key()), 900.0
        for number in range(1500):
            client.send(at, "GET", f"/v2/manifests?page={number + 1}&per_page=200", 200, 90000, 160)
            at += self.about(0.25)
        client, at = self.program("first-importer", agents.HTTPX, key=self.key()), 2600.0
        for _ in range(5000):
            client.send(at, "POST", "/v2/addresses", self.draw({201: 92, 422: 6, 409: 2}), 200, 25)
            at += self.about(0.03)
        client, at = self.program("address-cleaner", "FreightSDK-dotnet/3.9", key=self.key()), 1400.0
        for _ in range(3000):
            client.send(at, "POST", "/v2/addresses/validate", self.draw({200: 0.8, 422: 0.2}), 200, 30)
            at += self.about(0.1)
        client, at = self.program("rate-comparer", "FreightSDK-java/5.2", key=self.key()), 3200.0
        for _ in range(1200):
            origin, target = f"1{self.whole(1000, 9999)}", self.whole(10000, 99999)
            path = f"/v2/rates?from={origin}&to={target}&kg={self.whole(1, 30)}"
            client.send(at, "GET", path, 200, 1500, 200)
            at += self.about(0.5)

    @ordinary
    def people(self) -> None:
        """Recipients look where their parcel is, many after a mail, and the call centre looks for them."""
        for number in range(1800):
            client, parcel = self.browser("recipient", self.address(HOUSEHOLDS, CARRIERS)), self.parcel()
            at = self.between(0, END - 100) if number < 700 else self.crowd(2400, 150)
            client.send(at, "GET", f"/t/{parcel}", self.draw({200: 0.95, 404: 0.05}), 12000)
            client.send(at + 0.4, "GET", "/t/assets/app.js", 200, 50000, 3)
            for _ in range(self.whole(1, 6)):
                client.send(at + 1, "GET", f"/t/api/{parcel}", 200, 600)
                at += self.between(5, 30)
        office = self.home()
        for number in range(12):
            user, page = f"cc{number}@freight.example", "https://desk.freight.example/"
            client, at = self.browser("call-centre", office, user, page), self.between(0, 120)
            while at < END:
                path = f"/desk/api/shipments/{self.parcel()}"
                client.send(at, "GET", path, self.draw({200: 0.9, 404: 0.1}))
                client.send(at + 0.3, "GET", f"/desk/api/notes?s={self.token(6)}")
                at += self.gap(35) + 5

    @ordinary
    def others(self) -> None:
        """Keys that are no longer good, developers, a test, and a monitor."""
        for every in (5, 15, 60, 300):
            client = self.program("expired-key", self.pick(SDKS), key=self.key())
            for at in self.every(every, self.between(0, 600)):
                client.send(at, "POST", "/v2/rates", 401, 90, 4)
        paths = (
            "/v2/rates", "/v2/shipments", "/v2/shipment", "/v2/track/1Z000000001", "/v2/addresses/validate",
            "/v1/rates",
        )
        statuses, methods = (200, 400, 422, 422, 404), ("GET", "POST", "POST")
        self.developers(6, paths, statuses, methods=methods, key="ft_")
        client = self.program("ci-testsuite", "FreightSDK-dotnet/4.0-beta", key=self.key("ft_"))
        calls = (
            "/v2/rates", "/v2/shipments", "/v2/track/1Z000000002", "/v2/addresses/validate",
            "/v2/labels/x.pdf",
        )
        for at in (1000.0, 3500.0):
            for _ in range(400):
                status = self.draw({200: 55, 422: 20, 404: 15, 400: 10})
                client.send(at, self.pick(("POST", "GET")), self.pick(calls), status)
                at += self.about(0.1)
        self.health_checks("Datadog/Synthetics", 15, path="/v2/ping")

    def _track_in_order(self, address: str, page: str, every: float, seconds: float) -> None:
        """Tracks one number after the other on the public page."""
        client, begin = self.browser(self.playing, address, page=page), self.attack_begins
        for number, at in enumerate(self.every(every, begin, begin + seconds), 300000001):
            client.send(at, "GET", f"/t/api/1Z{number:09d}", self.draw({200: 0.35, 404: 0.65}), 600)

    @attack("track-enum-seq-public")
    def enumerate_parcels(self) -> None:
        """Six a second."""
        self._track_in_order(self.rented(), "", 0.15, 600)

    @attack("track-enum-seq-slow")
    def enumerate_parcels_slowly(self) -> None:
        """One each four seconds."""
        self._track_in_order(self.home(), self.page, 4, 2400)

    @attack("track-enum-random-50ip")
    def enumerate_parcels_from_many(self) -> None:
        """Fifty addresses try numbers at random."""
        begin = self.attack_begins
        for _ in range(50):
            client = self.browser(self.playing, self.mixed())
            for at in self.every(4, begin + self.between(0, 3), begin + 900, 0.5):
                client.send(at, "GET", f"/t/api/{self.parcel()}", self.draw({200: 0.3, 404: 0.7}), 600)

    @attack("track-enum-by-key")
    def enumerate_parcels_with_key(self) -> None:
        """One key tries numbers, most of which are not its own."""
        client, begin = self.program(self.playing, OLD_PYTHON, self.rented(), self.key()), self.attack_begins
        for at in self.every(0.1, begin, begin + 600):
            status = self.draw({403: 30, 404: 60, 200: 10})
            client.send(at, "GET", f"/v2/track/{self.parcel()}", status, 100, 8)

    @attack("rate-scrape-1key")
    def scrape_rates(self) -> None:
        """One key asks for the rate to each place."""
        client = self.program(self.playing, OLD_PYTHON, self.rented(), self.key("ft_"))
        begin = self.attack_begins
        for place, at in enumerate(self.every(0.15, begin, begin + 900), 10001):
            path = f"/v2/rates?from=10115&to={place}&kg={self.pick((1, 2, 5, 10, 20))}"
            client.send(at, "GET", path, 200, 1500, 200)

    @attack("rate-scrape-30keys-slow")
    def scrape_rates_slowly(self) -> None:
        """Thirty keys share the places."""
        begin = self.attack_begins
        for source in range(30):
            client = self.program(self.playing, "axios/1.7.2", self.mixed(), self.key("ft_"))
            times = self.every(6, begin + self.between(0, 9), begin + 2000, 0.5)
            for place, at in enumerate(times, 10001 + 3000 * source):
                client.send(at, "GET", f"/v2/rates?from=10115&to={place}&kg=5", 200, 1500, 200)

    @attack("expensive-quote-flood-200ip")
    def flood_quotes(self) -> None:
        """Two hundred keys ask for expensive quotes each three seconds."""
        begin = self.attack_begins
        for _ in range(200):
            client = self.program(self.playing, "axios/1.7.2", self.mixed(), self.key("ft_"))
            for at in self.every(3, begin + self.between(0, 20), begin + 300, 0.5):
                status = self.draw({200: 0.8, 504: 0.2})
                client.send(at, "POST", "/v2/rates", status, 1500, self.about(4000))

    @attack("leaked-key-25ip-shipments")
    def use_leaked_key(self) -> None:
        """Twenty-five addresses send parcels with a key that leaked, while its owner goes on."""
        key, begin = self.key(), self.attack_begins
        owner = self.program("shipper", "FreightSDK-java/5.2", key=key, actor="shipper-robbed")
        for at in self.every(8, 2, jitter=0.9):
            owner.send(at, "POST", "/v2/rates", 200, 1500, 200)
        for _ in range(25):
            client = self.program(self.playing, OLD_PYTHON, self.mixed(), key)
            for at in self.every(8, begin + self.between(0, 60), begin + 900, 0.4):
                client.send(at, "POST", "/v2/shipments", 201, 900, 300)

    @attack("event-replay")
    def replay_events(self) -> None:
        """Somebody sends a carrier's reports again."""
        client = self.program(self.playing, "CarrierPush/1.0", self.rented(), "cf_stolen0000001")
        for at in self.every(0.25, self.attack_begins, self.attack_begins + 600):
            client.send(at, "POST", "/v2/events", self.pick((202, 409)), 10)

    @attack("api-scanner")
    def scan_paths(self) -> None:
        """A scanner."""
        self.scan("Mozilla/5.0 zgrab/0.x", WEAK_SPOTS, ("", "/", "?x=1", ".json"), 0.4, 200)
