"""A town's offices: appointments, waiting numbers, a map, clerks, forms."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

from . import agents, assaults
from .addresses import CLOUDS, HOMES, PHONES
from .public import PublicSite
from .web import Asset, Client, WebSite
from .world import END, ordinary

OFFICES = ("buergeramt-mitte", "buergeramt-nord", "kfz-zulassung", "standesamt", "auslaenderbehoerde")
STREETS = ("Hauptstrasse", "Bahnhofweg", "Lindenallee", "Kirchgasse")
DISPLAY = (
    "Mozilla/5.0 (X11; Linux armv7l) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/110.0.0.0 Safari/537.36"
)
SOUGHT_CALENDAR = "/termin/auslaenderbehoerde/kalender"
LOGIN = "/konto/login"


def tile(zoom: int, column: int, row: int) -> str:
    """A tile of the map."""
    return f"/karten/tiles/{zoom}/{column}/{row}.png"


def snipe_slots(site: WebSite, begin: float, end: float) -> None:
    """Six sources ask each second for appointments that are hard to get, and take some."""
    referer = site.base + SOUGHT_CALENDAR
    for _ in range(6):
        client = site.attacker(agent=agents.windows_chrome(132))
        at, number = begin + site.dice.random(), 0
        while at < end:
            path = f"/api/slots?amt=auslaenderbehoerde&monat=2025-{3 + number % 4:02d}"
            client.send(at, "GET", path, size=90, referer=referer, headers=agents.SCRIPT_HEADERS)
            at += site.between(0.9, 1.1)
            number += 1
            if site.chance(0.01):
                status = site.pick((201, 409))
                client.send(
                    at, "POST", "/api/reservieren", status, referer=referer, headers=agents.SCRIPT_HEADERS
                )


class City(PublicSite):
    """The town."""

    name = "city"
    base = "https://termine.stadt-auenbruck.de"

    def some_path(self) -> str:
        return self.pick((
            "/", f"/aemter/{self.pick(OFFICES)}", f"/leistung/{self.whole(0, 299)}", "/faq",
            f"/formulare/{self.whole(0, 149)}.pdf", "/stadtplan",
        ))

    def assets(self, path: str) -> list[Asset]:
        return [
            "/build/app.3c2.css", "/build/runtime.1a.js", "/build/app.9f1.js", "/build/vendor.77.js",
            "/img/wappen.svg", "/fonts/source-sans.woff2", "/favicon.ico",
        ]

    def confirmation(self) -> str:
        """The secret address of an appointment."""
        return f"/termin/bestaetigung/{self.whole(0, 16**8 - 1):08x}"

    def move_map(self, client: Client, at: float, moves: int) -> None:
        """Moves over the map, which loads twenty tiles each time."""
        if not client.cache:
            return
        zoom, column, row = self.whole(13, 16), self.whole(8000, 8999), self.whole(5000, 5599)
        for _ in range(moves):
            for place in range(20):
                path = tile(zoom, column + place // 5, row + place % 5)
                status, size = self.draw({200: 0.97, 204: 0.03}), self.whole(2000, 19999)
                client.send(at + self.between(0, 0.8), "GET", path, status, size, self.between(2, 30),
                            self.base + "/stadtplan", agents.ASSET_HEADERS)
            column += self.pick((-2, 2, 3))
            row += self.pick((-2, 1, 2))
            zoom = min(18, max(10, zoom + self.pick((0, 0, 1, -1))))
            at += self.between(0.6, 6)

    def book(self, client: Client, at: float, patience: int = 6, completes: bool = True) -> float:
        """Somebody looks for an appointment, and takes one or not."""
        office = self.pick(OFFICES)
        calendar, form = f"/termin/{office}/kalender", f"/termin/{office}/daten"
        at = client.page(at, "/", self.engine()) + self.thinking(12)
        at = client.page(at, f"/aemter/{office}", "/") + self.thinking(12)
        at = client.page(at, calendar, f"/aemter/{office}")
        for number in range(self.whole(1, patience - 1)):
            client.call(at, f"/api/slots?amt={office}&monat=2025-{3 + number % 4:02d}", calendar)
            at += self.between(3, 15)
        if completes and self.chance(0.5):
            client.call(at, "/api/reservieren", calendar, "POST", self.draw({201: 0.8, 409: 0.2}))
            at = client.page(at + 2, form, calendar) + self.between(40, 150)
            at = client.page(at, form, form, 302, "POST")
            at = client.page(at, self.confirmation(), form)
        return at

    @ordinary
    def visitors(self) -> None:
        """Citizens at home and on the way."""
        for at in self.arrivals(6, -600):
            self.book(self.client("visitor", self.household()), at)
        for at in self.arrivals(4, -600):
            self.book(self.client("visitor-mobile", self.address(PHONES)), at)

    @ordinary
    def slot_refreshers(self) -> None:
        """New appointments appear at a known hour, and those who need one reload."""
        path = SOUGHT_CALENDAR
        for at in self.arrivals(6, 1700, 2500):
            client = self.client("slot-refresher")
            at = client.page(at, path)
            for _ in range(self.whole(20, 119)):
                at += self.between(2, 9)
                if self.chance(0.3):
                    at = client.page(at, path, path)
                month = self.pick((3, 4))
                client.call(at, f"/api/slots?amt=auslaenderbehoerde&monat=2025-{month:02d}", path)
            if self.chance(0.2):
                client.call(at, "/api/reservieren", path, "POST", self.pick((201, 409)))

    @ordinary
    def waiting_room(self) -> None:
        """Displays in the lobby, and phones that ask each five seconds whose turn it is."""
        for number in range(4):
            client = self.client("lobby-display", "185.64.12.8", DISPLAY, actor="lobby-display")
            for at in self.every(3, number, jitter=0):
                path, page = f"/api/aufruf/{OFFICES[number]}", f"/anzeige/{OFFICES[number]}"
                client.call(at, path, page, status=self.draw({200: 0.3, 304: 0.7}))
        for at in self.arrivals(1.5):
            client = self.client("queue-poll-5s", self.address(PHONES))
            ticket = f"{self.whole(0, 10**6 - 1):06d}"
            at = client.page(at, f"/warten/{ticket}")
            for _ in range(self.whole(20, 259)):
                at += 5 + self.between(-0.1, 0.2)
                client.call(at, f"/api/wartenummer/{ticket}", f"/warten/{ticket}")

    @ordinary
    def map_users(self) -> None:
        """The town's map, moved a little or a lot."""
        for at in self.arrivals(2):
            client = self.client("map-tiles")
            at = client.page(at, "/stadtplan", "/")
            self.move_map(client, at, self.whole(2, 39))
        client = self.client("map-power-user")
        self.move_map(client, client.page(400, "/stadtplan", "/"), 160)

    @ordinary
    def town_hall(self) -> None:
        """Forty clerks behind one address, an export, and plans that are uploaded."""
        for number in range(40):
            client = self.client("nat-townhall", "185.64.12.9", user=f"sb{number:02d}", actor="nat-townhall")
            at = self.between(0, 300)
            while at < END:
                at = client.page(at, f"/backoffice/vorgang/{self.whole(70000, 70999)}", "/backoffice/")
                client.call(at + 2, "/backoffice/api/naechster", "/backoffice/", "POST")
                at += self.thinking(70)
        client = self.client("export-script", "185.64.12.9", "PowerShell/7.4", "export", "export-script")
        at = 1000.0
        for number in range(700):
            client.send(at, "GET", f"/backoffice/api/vorgaenge?seite={number}&groesse=50")
            at += self.between(0.2, 0.7)
        client = self.client("upload-200-photos", "185.64.13.44", user="bauamt3")
        page = "/backoffice/akten/991/upload"
        at = client.page(1500, page, "/backoffice/")
        for _ in range(200):
            took = self.between(600, 2500)
            client.send(at, "POST", "/backoffice/api/akten/991/dateien", 201, 300, took, self.base + page,
                        agents.SCRIPT_HEADERS)
            at += self.between(0.4, 1.5)

    @ordinary
    def forms(self) -> None:
        """A form that completes addresses at each key."""
        path = "/formular/ummeldung"
        for at in self.arrivals(1.2):
            client = self.client("autocomplete-form")
            at = client.page(at, path, "/leistung/12")
            for _ in range(self.whole(2, 4)):
                street = f"{self.pick(STREETS)} {self.whole(0, 98)}"
                for at, typed in self.typed(at, street, 3):
                    client.call(at, f"/api/adresse?q={quote(typed)}", path)
                at += self.between(5, 30)
            for number in range(self.pick((1, 1, 2, 3))):
                at = client.page(at + 10, path, path, 422 if number else 302, "POST")

    @ordinary
    def helpers(self) -> None:
        """A law firm books for its clients, and a shelter's people log in from one address."""
        client, at = self.client("law-firm-books-20"), 200.0
        for _ in range(20):
            at = self.book(client, at, 5) + self.between(10, 60)
        address = self.address(HOMES)
        for at in self.arrivals(0.7):
            client = self.client("nat-shelter", address, actor="nat-shelter")
            at = client.page(at, LOGIN, "/")
            for _ in range(self.pick((1, 2, 2, 3))):
                at = client.page(at + self.between(10, 30), LOGIN, LOGIN, 401, "POST", assets=False)
            at = client.page(at + 15, LOGIN, LOGIN, 302, "POST")
            self.book(client, at + 4)

    @ordinary
    def mail_links(self) -> None:
        """Links of mails, opened by people and by the scanners of their providers."""
        for at in self.arrivals(2):
            client, path = self.client("confirm-link"), self.confirmation()
            at = client.page(at, path, "", self.draw({200: 0.8, 404: 0.2}))
            if self.chance(0.4):
                client.send(at + 8, "GET", path + "/ics", headers=agents.NAVIGATION_HEADERS)
        for at in self.arrivals(4):
            address = f"40.94.{self.whole(20, 35)}.{self.whole(1, 249)}"
            client = self.client("mail-link-scanner", address, agents.windows_chrome(120))
            self._scan_mail(client, at, 200)
        gateway = self.client("mail-gateway-scanner", self.address(CLOUDS), agents.windows_chrome(119))
        for at in self.arrivals(6):
            self._scan_mail(gateway, at, self.draw({200: 0.95, 404: 0.05}))

    def _scan_mail(self, client: Client, at: float, status: int) -> None:
        """Opens both links of a mail."""
        path = self.confirmation()
        client.send(at, "GET", path, status, headers=agents.NAVIGATION_HEADERS)
        client.send(at + 0.6, "GET", path + "/absagen", headers=agents.NAVIGATION_HEADERS)

    @ordinary
    def open_data(self) -> None:
        """Somebody records the waiting times of all offices each minute."""
        client = self.client("opendata-hobbyist", agent="python-requests/2.31.0")
        for at in self.every(60, 0, jitter=0):
            for number, office in enumerate(OFFICES):
                client.send(at + number * 0.3, "GET", f"/api/wartezeit?amt={office}")

    @ordinary
    def slow_people(self) -> None:
        """Somebody fills the form in so slowly that the page keeps the session alive."""
        for at in self.arrivals(0.2):
            client = self.client("slow-a11y")
            at = self.book(client, at, 3, completes=False)
            for _ in range(60):
                at += 30
                client.call(at, "/api/session/verlaengern", "/termin/standesamt/daten", "POST", 204)

    plan = [
        {
            "slot-sniping": snipe_slots,
            "form-spam": partial(
                assaults.spam, page=lambda site: "/kontakt", form=lambda path: path, done=302, count=12
            ),
            "code-enumeration": partial(
                assaults.enumerate_ids, path=lambda site, number: site.confirmation()
            ),
        },
        {
            "hoarding": partial(
                assaults.hoarding,
                page=lambda site: f"/termin/{site.pick(OFFICES)}/kalender",
                path="/api/reservieren",
                done=201,
            ),
            "flood-5-sources": assaults.flood_five_sources,
            "scanner-slow": assaults.scan_slowly,
        },
        {
            "stuffing-fast": partial(assaults.stuffing_fast, path=LOGIN, rate=0.5, count=450),
            "tile-scraping": partial(
                assaults.scrape_in_order,
                path=lambda site, number: tile(17, 70000 + number // 60, 44000 + number % 60),
                count=6000,
                agent=agents.windows_chrome(120),
                every=0.15,
            ),
            "flood-400-slow": partial(assaults.flood_slow_sources, path="/api/slots?amt=standesamt"),
        },
    ]
