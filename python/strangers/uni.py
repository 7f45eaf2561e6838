"""A university with its library: catalogue, kiosks, exams, harvesters, lectures on video."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote, quote_plus

from . import agents, assaults
from .addresses import HOMES, PHONES, SERVERS
from .public import PublicSite
from .web import Asset, Client, letters
from .world import END, ordinary

ZOTERO = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:128.0) Gecko/20100101 Firefox/128.0 Zotero/7.0.13"
)
MOODLE_FUNCTIONS = (
    "core_webservice_get_site_info", "message_popup_get_unread_popup_notification_count",
    "core_course_get_contents", "mod_forum_get_forums_by_courses", "core_calendar_get_calendar_upcoming_view",
)
LOGIN = "/campus/login"
RESET = "/campus/passwort"


class Uni(PublicSite):
    """The university."""

    name = "uni"
    base = "https://www.uni-weserstadt.de"

    def title(self, number: int | None = None) -> str:
        """A record of the catalogue."""
        return f"/bib/katalog/titel/{(self.rank(60000) if number is None else number) + 10100000}"

    def any_title(self) -> str:
        """A record, none more often than another."""
        return self.title(self.whole(0, 59999))

    def paper(self) -> str:
        """A publication."""
        return f"/publikationen/{self.whole(0, 7999)}/download.pdf"

    def person(self) -> str:
        """Somebody's page."""
        return f"/personen/{self.whole(0, 899)}"

    def institute(self) -> str:
        """An institute's page."""
        return f"/institute/{self.word()}/"

    def some_path(self) -> str:
        return self.draw({
            self.any_title(): 0.5, self.person(): 0.2, self.institute(): 0.15,
            f"/bib/katalog/suche?q={self.word()}&seite={self.whole(1, 8)}": 0.05, self.paper(): 0.1,
        })

    def assets(self, path: str) -> list[Asset]:
        found: list[Asset] = [
            "/_assets/css/uni.css?1739", "/_assets/js/uni.js?1739", "/_assets/fonts/opensans.woff2",
            "/_assets/img/siegel.svg", "/favicon.ico",
        ]
        if "/bib/" in path:
            found += ["/bib/static/opac.css", "/bib/static/opac.js", "/bib/static/icons.svg"]
        if "/suche" in path:
            for _ in range(20):
                # Many books have no cover.
                cover = f"/bib/cover/{self.whole(0, 59999) + 10100000}.jpg"
                found.append(cover if self.chance(0.6) else (cover, 404))
        elif "/titel/" in path:
            number = path.rsplit("/", 1)[1]
            found += [
                (f"/bib/cover/{number}.jpg", self.pick((200, 404))),
                f"/bib/api/verfuegbarkeit/{number}",
            ]
        else:
            found.append(f"/fileadmin/bilder/{letters(path) % 700}.jpg")
        return found

    def search(self, client: Client, at: float) -> float:
        """Somebody searches the catalogue and looks at what is found."""
        words, start = f"{self.word()} {self.word()}", "/bib/katalog/"
        at = client.page(at, start, "/bib/") + 3
        for at, typed in self.typed(at, words):
            client.call(at, f"/bib/api/vorschlag?q={quote(typed)}", start)
        query = f"/bib/katalog/suche?q={quote_plus(words)}"
        at, page = client.page(at + 0.5, query, start) + self.thinking(12), query
        for number in range(self.whole(1, 9)):
            share = self.dice.random()
            if share < 0.3:
                page = f"{query}&seite={number + 2}"
                at = client.page(at, page, query) + self.thinking(9)
            elif share < 0.45:
                page = f"{query}&filter=jahr:{self.whole(1990, 2024)}"
                at = client.page(at, page, query) + self.thinking(8)
            else:
                at = client.page(at, self.any_title(), page) + self.thinking(18)
        return at

    def visit(self, client: Client, at: float) -> None:
        """Somebody searches the catalogue, or reads what the university says of itself."""
        if self.chance(0.45):
            self.search(client, at)
            return
        before = self.engine()
        path = self.pick(("/", "/studium/", self.person(), self.institute(), "/mensa/", "/veranstaltungen/"))
        for _ in range(1 + int(self.gap(3))):
            at = client.page(at, path, before) + self.thinking(25)
            before = path
            path = self.pick((
                "/studium/pruefungsamt/", self.person(), self.institute(), "/studium/bewerbung/", "/mensa/",
                self.paper(),
            ))

    @ordinary
    def visitors(self) -> None:
        """Readers at home, on the way, and on the campus behind one address."""
        for at in self.arrivals(6, -600):
            self.visit(self.client("visitor", self.household()), at)
        for at in self.arrivals(2.5, -600):
            self.visit(self.client("visitor-mobile", self.address(PHONES)), at)
        for at in self.arrivals(4):
            self.visit(self.client("nat-campus-wlan", "134.102.9.9", actor="nat-campus-wlan"), at)

    @ordinary
    def library(self) -> None:
        """A course where all search at once, kiosks that forget each reader, and an inventory."""
        kind = "nat-library-course"
        for _ in range(25):
            client = self.client(kind, "134.102.22.4", agents.WINDOWS_FIREFOX_128, actor=kind)
            at = 1200 + self.between(0, 40)
            for _ in range(4):
                at = self.search(client, at) + self.between(20, 90)
        for _ in range(6):
            client = self.client("opac-kiosk", "134.102.22.40", agents.LINUX_FIREFOX_115, actor="opac-kiosk")
            at = self.between(0, 60)
            while at < END:
                client.cache = set()
                at = self.search(client, at) + self.between(10, 120)
        client = self.client("librarian-inventory", "134.102.22.9", agents.WINDOWS_FIREFOX_128, "bib.krause")
        at, number = 300.0, 31000
        while at < 3900:
            number += self.pick((1, 1, 1, 2, 3))
            status = self.draw({200: 0.96, 404: 0.04})
            client.call(at, f"/bib/intern/exemplar/{number}", "/bib/intern/inventur", status=status)
            at += self.between(2, 5)

    @ordinary
    def exam_results(self) -> None:
        """Results are out: students log in and reload."""
        page = "/campus/pruefungen/ergebnisse"
        for at in self.arrivals(50, 1800, 2100):
            client = self.client("exam-results-rush", self.address(HOMES, PHONES))
            at = client.page(at, LOGIN)
            user, tries = f"s{self.whole(0, 10**6 - 1):06d}", self.pick((1, 1, 1, 2, 3))
            for number in range(tries):
                status = 200 if number < tries - 1 else 302
                at = client.page(at + self.between(4, 12), LOGIN, LOGIN, status, "POST", assets=False)
            for _ in range(self.whole(2, 24)):
                at = client.page(at + self.between(2, 20), page, "/campus/", user=user)

    @ordinary
    def harvesters(self) -> None:
        """Other libraries: a harvester, a union catalogue, and a search engine for papers."""
        agent = "BASE Harvester (oai@base-search.net)"
        client = self.client("oai-harvester", self.address(SERVERS), agent)
        at = 100.0
        for number in range(900):
            path = f"/publikationen/oai?verb=ListRecords&resumptionToken=oai_dc{number * 100}"
            client.send(at, "GET", path, 200, 180000, self.between(400, 1500))
            at += self.between(1, 3)
        client = self.client("sru-partner", self.address(SERVERS), "Java/17.0.9")
        at = 1.0
        while at < END:
            book = f"978{self.whole(0, 10**10 - 1):010d}"
            path = f"/bib/sru?version=1.1&operation=searchRetrieve&query=pica.isb%3D{book}"
            client.send(at, "GET", path)
            at += self.gap(1.2)
        self.crawler("googlescholar", agents.GOOGLEBOT_SHORT, ["66.249.79.3", "66.249.79.66"], 6, self.paper)

    @ordinary
    def researchers(self) -> None:
        """Imports of many records at once, and a polite download of a list of papers."""
        for at in self.arrivals(0.06):
            client = self.client("zotero-import", agent=ZOTERO)
            referer = f"{self.base}/bib/katalog/suche?q={self.word()}"
            for _ in range(60):
                path = f"{self.any_title()}?format=ris"
                client.send(at, "GET", path, referer=referer, headers=agents.ASSET_HEADERS)
                at += self.between(0.5, 1.2)
        client = self.client("wget-researcher", "134.102.77.3", "Wget/1.24.5")
        at = 700.0
        for number in range(180):
            status = self.draw({200: 0.9, 404: 0.1})
            client.send(at, "GET", f"/publikationen/{2000 + number}/download.pdf", status, 2_000_000)
            at += self.between(2, 4)

    @ordinary
    def courses(self) -> None:
        """An app for courses, and lectures on video in segments of six seconds."""
        for at in self.arrivals(1):
            user = f"s{self.whole(0, 10**6 - 1):06d}"
            client = self.client("app-polling", self.address(PHONES), "MoodleMobile 4.5.0 (45000)", user)
            for _ in range(self.whole(4, 19)):
                for function in self.dice.sample(MOODLE_FUNCTIONS, 3):
                    path = f"/moodle/webservice/rest/server.php?moodlewsrestformat=json&wsfunction={function}"
                    client.send(at, "POST", path)
                    at += 0.2
                at += self.between(20, 60)
        for at in self.arrivals(0.3):
            client, path = self.client("video-lecture"), f"/video/{self.whole(0, 89)}"
            at = client.page(at, path, "/video/")
            for number in range(self.whole(30, 249)):
                client.call(at, f"{path}/seg{number:05d}.ts", path, size=900000)
                at += 6 if number > 4 else 0.3

    @ordinary
    def login_mistakes(self) -> None:
        """Students who forgot their password; the form answers 200."""
        for at in self.arrivals(0.8):
            client = self.client("login-mistakes")
            at = client.page(at, LOGIN, "/")
            for _ in range(self.whole(2, 5)):
                at = client.page(at + self.between(6, 25), LOGIN, LOGIN, 200, "POST", assets=False)
            client.page(at + 15, RESET, LOGIN)
            client.page(at + 35, RESET, RESET, 302, "POST")

    @ordinary
    def programs(self) -> None:
        """Feed readers, and the web team's own check of all links."""
        for _ in range(15):
            client = self.client("rss-reader", agent="Thunderbird/128.7.0")
            for at in self.every(600, self.between(0, 600), jitter=0):
                client.send(at, "GET", "/aktuelles/rss.xml", self.pick((200, 304, 304)))
        client = self.client("webteam-linkcheck", "134.102.5.5", "W3C-checklink/5.0.0 libwww-perl/6.67")
        at = 2000.0
        for _ in range(800):
            client.send(at, "HEAD", self.some_path(), self.draw({200: 0.8, 404: 0.15, 301: 0.05}))
            at += self.between(0.9, 1.3)

    def deep_search(self, number: int) -> str:
        """A page of results that nobody else ever asked for."""
        year, page = self.whole(1900, 2024), self.whole(0, 98)
        return f"/bib/katalog/suche?q={self.word()}&filter=jahr:{year}&seite={page}"

    plan = [
        {
            "search-scraping": partial(
                assaults.scrape_search, path=lambda words, page: f"/bib/katalog/suche?q={words}&seite={page}"
            ),
            "id-enumeration-200": partial(
                assaults.enumerate_found_ids,
                path=lambda site, number: f"/bib/api/nutzerkonto/{400000 + number}",
            ),
            "reset-bombing": partial(assaults.bomb_resets, path=RESET),
        },
        {
            "bruteforce-one-account": partial(assaults.brute_force, path=LOGIN, failed=200),
            "scanner-noisy": assaults.scan_noisily,
            "bruteforce-slow": partial(assaults.brute_force_slow, path=LOGIN, failed=200),
        },
        {
            "scrape-id-order": partial(
                assaults.scrape_in_order, path=lambda site, number: site.title(number)
            ),
            "scrape-1500-proxies": partial(
                assaults.scrape_through_proxies, path=lambda site, number: site.deep_search(number)
            ),
            "flood-1-source": partial(assaults.flood_one_source, path="/bib/katalog/suche?q=%25"),
        },
    ]
