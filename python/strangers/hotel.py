"""A chain of hotels: searches for rooms, GraphQL, partners, a front desk, televisions."""

from __future__ import annotations

from functools import partial

from . import assaults
from .addresses import CLOUDS, HOMES, PHONES, SERVERS
from .agents import CURL_HEADERS, NAVIGATION_HEADERS, SCRIPT_HEADERS, windows_chrome
from .public import PublicSite
from .web import Asset, Client, WebSite, letters, slug
from .world import END, ordinary

HOTELS = ("lech", "zell", "kitz", "imst", "meran", "bozen", "sterzing", "brixen")
PROBES = (
    "/", "/healthz", "/hotels/lech", "/api/verfuegbarkeit?hotel=lech&checkin=2025-06-01&nights=2&adults=2",
)
TELEVISION = (
    "Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) 76.0.3809.146/6.0 TV "
    "Safari/537.36"
)
LOGIN = "/konto/login"
SIGN_IN = "/api/auth/login"
HOLD = "/api/buchung/zimmer-halten"
PAY = "/api/zahlung"


def scrape_rates(site: WebSite, begin: float, end: float) -> None:
    """Forty addresses ask for the price of each night, six to ten times a minute."""
    for _ in range(40):
        client = site.attacker(site.address(HOMES + SERVERS[:5]))
        at = begin + site.between(0, 40)
        while at < end:
            day = f"2025-{site.whole(4, 11):02d}-{site.whole(1, 28):02d}"
            path = f"/api/verfuegbarkeit?hotel={site.pick(HOTELS)}&checkin={day}&nights=1&adults=2"
            referer = f"{site.base}/hotels/{site.pick(HOTELS)}"
            client.send(at, "GET", path, referer=referer, headers=SCRIPT_HEADERS)
            at += site.between(6, 14)


def hold_rooms(site: WebSite, begin: float, end: float) -> None:
    """Twenty-five homes hold a room each minute and never pay."""
    for _ in range(25):
        client = site.attacker(site.address(HOMES))
        at = begin + site.between(0, 60)
        while at < end:
            status = site.draw({201: 0.85, 409: 0.15})
            client.send(at, "POST", HOLD, status, referer=site.base + "/buchung", headers=SCRIPT_HEADERS)
            at += site.between(45, 75)


def carding_distributed(site: WebSite, begin: float, end: float) -> None:
    """A hundred and twenty homes try two to four cards each."""
    for _ in range(120):
        client = site.attacker(site.address(assaults.PROXIES))
        at = site.between(begin, end)
        client.send(at, "GET", "/buchung", headers=NAVIGATION_HEADERS)
        at += 3
        for _ in range(site.whole(2, 4)):
            status = site.draw({402: 0.93, 201: 0.07})
            client.send(at, "POST", PAY, status, None, 1500, site.base + "/buchung", SCRIPT_HEADERS)
            at += site.between(5, 15)


def enumerate_bookings(site: WebSite, begin: float, end: float) -> None:
    """One source tries numbers of bookings."""
    client = site.attacker(agent=windows_chrome(131))
    at = begin
    while at < end:
        status, referer = site.draw({404: 0.985, 200: 0.015}), site.base + "/buchung/verwalten"
        client.send(at, "POST", "/api/buchung/suchen", status, referer=referer, headers=SCRIPT_HEADERS)
        at += site.between(1, 3)


def pump_messages(site: WebSite, begin: float, end: float) -> None:
    """Ten sources have messages sent to numbers that earn by them."""
    for _ in range(10):
        client = site.attacker(site.address(SERVERS + HOMES[:4]))
        at = begin + site.between(0, 20)
        while at < end:
            client.send(
                at, "POST", "/api/auth/otp/senden", 202, referer=site.base + LOGIN, headers=SCRIPT_HEADERS
            )
            at += site.between(10, 20)


def enumerate_graphql(site: WebSite, begin: float, end: float) -> None:
    """One source asks GraphQL for one thing after the other; only the size tells whether it exists."""
    client = site.attacker(agent="python-httpx/0.27.0")
    at = begin
    while at < end:
        client.send(at, "POST", "/graphql", size=site.pick((88, 88, 88, 2300)))
        at += site.between(0.3, 0.9)


def stuff_once(site: WebSite, begin: float, end: float) -> None:
    """Two hundred and twenty homes try one password each."""
    for _ in range(220):
        client = site.attacker(site.address(assaults.PROXIES))
        at = site.between(begin, end)
        client.send(at, "GET", LOGIN, headers=NAVIGATION_HEADERS)
        status = site.draw({401: 0.98, 200: 0.02})
        client.send(at + site.between(2, 5), "POST", SIGN_IN, status, referer=site.base + LOGIN,
                    headers=SCRIPT_HEADERS)


class Hotel(PublicSite):
    """The hotels."""

    name = "hotel"
    base = "https://www.alpenrose-hotels.com"

    def house(self) -> str:
        """A hotel's page."""
        return f"/hotels/{self.pick(HOTELS)}"

    def room(self) -> str:
        """A room's page."""
        return f"{self.house()}/zimmer/{self.whole(0, 11)}"

    def stay(self) -> str:
        """The query of a stay."""
        day = self.whole(1, 299)
        date = f"2025-{day // 28 % 12 + 1:02d}-{day % 28 + 1:02d}"
        return f"checkin={date}&nights={self.whole(1, 8)}&adults={self.whole(1, 3)}"

    def vacancy(self, page: str) -> str:
        """Asks whether a hotel has rooms, given a page of it."""
        return f"/api/verfuegbarkeit?hotel={page.split('/')[2]}&{self.stay()}"

    def some_path(self) -> str:
        return self.pick((
            self.house(), self.room(), f"/angebote/{self.word()}", f"/magazin/{slug(self.whole(0, 89))}"
        ))

    def assets(self, path: str) -> list[Asset]:
        found: list[Asset] = [
            "/assets/index-3f2a.js", "/assets/index-91c.css", "/assets/vendor-77f.js",
            "/fonts/playfair.woff2", "/favicon.ico",
        ]
        number, count = letters(path), 18 if "/hotels/" in path else 5
        return found + [f"/media/{(number + place) % 600}-800.avif" for place in range(count)]

    def graphql(self, client: Client, at: float, path: str, count: int) -> None:
        """The questions of a page to GraphQL."""
        for _ in range(count):
            client.call(at + self.between(0, 0.6), "/graphql", path, "POST")

    def visit(self, client: Client, at: float) -> None:
        """Somebody looks at hotels and dates, and books now and then."""
        before, path = self.engine(), self.pick(("/", self.some_path(), self.house()))
        for _ in range(1 + int(self.gap(4))):
            at = client.page(at, path, before)
            self.graphql(client, at, path, self.whole(3, 8))
            until = at + self.thinking(35)
            for beat in self.every(15, at + 15, until, 0):
                client.call(beat, "/collect", path, "POST", 204)
            if "/hotels/" in path and self.chance(0.6):
                for _ in range(self.whole(1, 11)):
                    at += self.between(1.5, 10)
                    client.call(at, self.vacancy(path), path)
            at, before = max(at, until), path
            path = self.pick((self.room(), self.house(), f"/angebote/{self.word()}", "/"))
        if self.chance(0.08):
            at = client.page(at, "/buchung", before)
            self.graphql(client, at, "/buchung", 4)
            at += self.between(60, 200)
            client.call(at, HOLD, "/buchung", "POST", 201)
            for number in range(self.pick((1, 1, 1, 2))):
                at += 40 if number else 60
                client.call(at, PAY, "/buchung", "POST", 402 if number else 201)

    @ordinary
    def visitors(self) -> None:
        """Guests at home, on the way, and behind the edges of a network for content."""
        for at in self.arrivals(7, -600):
            self.visit(self.client("visitor", self.household()), at)
        for at in self.arrivals(4, -600):
            self.visit(self.client("visitor-mobile", self.address(PHONES)), at)
        edges, kind = [self.address(SERVERS) for _ in range(4)], "cdn-edge-shared"
        for at in self.arrivals(6, -600):
            self.visit(self.client(kind, self.pick(edges), actor=kind), at)

    @ordinary
    def partners(self) -> None:
        """A channel manager, a portal for prices, and a travel agency."""
        manager = self.client("channel-manager", self.address(CLOUDS), "SiteMinder-ARI/2.0", "siteminder")
        at = 1.0
        while at < END:
            status = self.draw({200: 0.9, 202: 0.08, 409: 0.02})
            manager.send(at, "POST", "/api/channel/v2/ari", status)
            at += self.gap(1.8)
        agent, kind = "Mozilla/5.0 (compatible; trivago-price-check/1.0)", "metasearch-prices"
        portals = [self.client(kind, self.address(CLOUDS), agent, actor=kind) for _ in range(2)]
        at = 1.0
        while at < END:
            path = f"/meta/preise?hotel={self.pick(HOTELS)}&{self.stay()}"
            self.pick(portals).send(at, "GET", path)
            at += self.gap(1 / 3)
        address, kind = self.address(HOMES), "nat-travel-agency"
        for number in range(8):
            client = self.client(kind, address, user=f"agent{number}", actor=kind)
            at = self.between(0, 200)
            while at < END - 300:
                path = self.house()
                at = client.page(at, path, "/")
                self.graphql(client, at, path, 5)
                for _ in range(self.whole(3, 19)):
                    at += self.between(2, 12)
                    client.call(at, self.vacancy(self.house()), path)

    @ordinary
    def staff(self) -> None:
        """The front desk asks who arrives, and housekeeping which rooms are clean."""
        desk = self.client("frontdesk-poll", user="rezeption")
        for at in self.every(10, 5, jitter=0):
            path = "/api/pms/ankuenfte?datum=2025-03-04"
            desk.call(at, path, "/pms/", status=self.pick((200, 304)))
        address, kind = self.address(HOMES), "nat-housekeeping"
        for number in range(12):
            client = self.client(kind, address, "AlpenroseHK/1.4 (Android 13)", f"hk{number}", kind)
            at = self.between(0, 60)
            while at < END:
                client.send(at, "GET", "/api/pms/zimmerstatus")
                client.send(at + 3, "PATCH", f"/api/pms/zimmer/{self.whole(100, 339)}")
                at += self.between(40, 200)

    @ordinary
    def groups(self) -> None:
        """Colleagues behind one address follow a link, and a guest fetches forty invoices."""
        address, kind, page = self.address(HOMES), "nat-conference-link", "/gruppe/KONF25?code=firma"
        for at in self.arrivals(40, 1500, 1740):
            client = self.client(kind, address, actor=kind)
            at = client.page(at, page)
            self.graphql(client, at, page, 6)
            at += self.between(20, 200)
            client.call(at, HOLD, page, "POST", 201)
            client.call(at + 60, PAY, page, "POST", 201)
        client, page = self.client("guest-invoices-40", user="gast771"), "/konto/rechnungen"
        at = client.page(2000, page, "/konto")
        for number in range(40):
            path = f"{page}/{70411 + number}.pdf"
            client.send(at, "GET", path, 200, 90000, 200, self.base + page, NAVIGATION_HEADERS)
            at += self.between(1.2, 3)

    @ordinary
    def pollers(self) -> None:
        """A chat each two seconds, a socket by polling, and televisions each twenty seconds."""
        for at in self.arrivals(0.5):
            client, path = self.client("chat-widget-poll"), self.house()
            at, session = client.page(at, path), self.whole(0, 16**5)
            until = at + self.between(120, 1500)
            while at < until:
                at += 2 + self.between(0, 0.1)
                client.call(at, f"/chat/poll?sid={session:x}", path)
        for at in self.arrivals(0.8):
            client, path = self.client("socketio-polling"), self.house()
            at, session = client.page(at, path), self.whole(0, 16**8)
            until = at + self.between(60, 1500)
            while at < until:
                query = f"EIO=4&transport=polling&t=P{int(at * 1000):x}&sid={session:x}"
                client.call(at, f"/socket.io/?{query}", path)
                at += self.pick((0.2, 25, 25))
        for at in self.arrivals(0.4):
            client, room = self.client("kiosk-tv-heartbeat", agent=TELEVISION), self.whole(0, 299)
            for beat in self.every(20, at, min(END, at + 2400), 0):
                path = f"/api/tv/infotafel?zimmer={room}"
                client.call(beat, path, "/tv/", status=self.pick((200, 304)))

    @ordinary
    def health(self) -> None:
        """A balancer and a probe that look whether all is well."""
        for number in range(2):
            client = self.client("lb-healthcheck", self.address(CLOUDS), "ELB-HealthChecker/2.0")
            for at in self.every(5, number, jitter=0):
                client.send(at, "GET", "/healthz", headers=CURL_HEADERS)
        client = self.client("prometheus-blackbox", self.address(CLOUDS), "Blackbox Exporter/0.25.0")
        for at in self.every(15, 2, jitter=0):
            for number, path in enumerate(PROBES):
                client.send(at + 0.1 * number, "GET", path, headers=CURL_HEADERS)

    @ordinary
    def date_comparers(self) -> None:
        """A parent compares all dates of the holidays."""
        for at in self.arrivals(0.15):
            client, path = self.client("date-comparer"), self.house()
            at = client.page(at, path)
            for _ in range(self.whole(40, 89)):
                at += self.between(1.2, 5)
                client.call(at, self.vacancy(path), path)

    @ordinary
    def login_mistakes(self) -> None:
        """Guests who forgot their password and ask for a code instead."""
        for at in self.arrivals(0.6):
            client = self.client("login-mistakes")
            at = client.page(at, LOGIN, "/")
            for _ in range(self.whole(1, 5)):
                client.call(at, SIGN_IN, LOGIN, "POST", 401)
                at += self.between(6, 25)
            client.call(at, "/api/auth/otp/senden", LOGIN, "POST", 202)
            at += self.between(20, 60)
            client.call(at, "/api/auth/otp/pruefen", LOGIN, "POST", self.pick((200, 200, 422)))

    plan = [
        {
            "rate-scrape-40ips": scrape_rates,
            "room-holding": hold_rooms,
            "carding-distributed": carding_distributed,
        },
        {
            "booking-ref-enumeration": enumerate_bookings,
            "otp-sms-pumping": pump_messages,
            "graphql-enumeration": enumerate_graphql,
        },
        {
            "fake-reviews": partial(
                assaults.spam, page=lambda site: site.house(), form=lambda path: "/api/bewertungen", count=20
            ),
            "stuffing-distributed": partial(assaults.stuffing_distributed, path=SIGN_IN),
            "stuffing-1try-per-ip": stuff_once,
        },
    ]
