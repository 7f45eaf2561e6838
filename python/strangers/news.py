"""A local newspaper: articles, a ticker, feeds, an app, editors."""

from __future__ import annotations

from functools import partial

from . import agents, assaults
from .addresses import CLOUDS, HOMES, PHONES
from .public import PublicSite
from .web import SEARCH_ENGINES, Asset, Client, letters, slug
from .world import END, ordinary

SECTIONS = ("lokales", "sport", "kultur", "wirtschaft", "politik", "polizei")
FEEDS = ("/rss/lokales.xml", "/rss/sport.xml", "/rss/polizei.xml", "/rss/alle.xml")
READERS = (
    ("Tiny Tiny RSS/23.05 (https://tt-rss.org/)", 900, 12),
    ("Feedly/1.0 (+http://www.feedly.com/fetcher.html; like FeedFetcher-Google)", 300, 1),
    ("NetNewsWire (RSS Reader; https://netnewswire.com/)", 1800, 14),
    ("Miniflux/2.2.5", 600, 8),
    ("FreshRSS/1.25.0 (Linux; https://freshrss.org)", 1200, 8),
)
INOREADER = "Inoreader/1.0 (+http://www.inoreader.com/feed-fetcher; 211 subscribers; )"
APP = "KreisboteApp/6.4.1 (iPhone; iOS 18.3.1) CFNetwork/1568 Darwin/24.3.0"
VERIFIER = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 "
    "Safari/537.36 IAS/1.0"
)
LOGIN = "/konto/anmelden"
RESET = "/konto/passwort-vergessen"


class News(PublicSite):
    """The newspaper."""

    name = "news"
    base = "https://www.kreisbote-online.de"

    def article(self, number: int | None = None) -> str:
        """An article; what is new is read most."""
        number = self.rank(1500) if number is None else number
        return f"/{SECTIONS[number % 6]}/{slug(number)}-{104000 - number}.html"

    def section(self) -> str:
        """A section's page."""
        return f"/{self.pick(SECTIONS)}/"

    def some_path(self) -> str:
        return self.draw({
            self.article(self.whole(0, 1499)): 0.7, self.section(): 0.1, f"/thema/{self.word()}": 0.15,
            f"/autor/{self.whole(0, 39)}": 0.05,
        })

    def assets(self, path: str) -> list[Asset]:
        found: list[Asset] = [
            "/static/css/main.8f3a1c.css", "/static/js/app.77ab21.js", "/static/js/vendor.19cd0.js",
            "/static/js/consent.5c1.js", "/static/fonts/merriweather-400.woff2",
            "/static/fonts/merriweather-700.woff2", "/static/img/logo.svg", "/favicon.ico",
            # A script that has been missing for long.
            ("/static/js/paywall-sdk.min.js", 404),
        ]
        number = letters(path)
        if path.count("/") <= 2 and path.endswith("/"):
            return found + [f"/img/teaser/{(number + place * 7) % 4000}-480.webp" for place in range(24)]
        found.append(f"/img/full/{number % 9000}-1200.webp")
        return found + [f"/img/teaser/{(number + place * 7) % 4000}-240.webp" for place in range(6)]

    def visit(self, client: Client, at: float) -> None:
        """Somebody reads some articles."""
        before = self.engine()
        path = self.draw({"/": 0.35, self.article(): 0.5, self.section(): 0.15})
        seen = []
        for _ in range(1 + int(self.gap(4.5))):
            at = client.page(at, path, before)
            if path.endswith(".html"):
                self._read(client, at, path)
            elif path == "/" and self.chance(0.3):
                at = self._scroll(client, at)
            seen.append(path)
            at += self.thinking(45 if path.endswith("html") else 15)
            before = path
            if self.chance(0.25) and len(seen) > 1:
                path = seen[-2]
            else:
                path = self.draw({
                    self.article(): 0.7, "/": 0.14, self.section(): 0.1, f"/suche?q={self.word()}": 0.06
                })

    def _read(self, client: Client, at: float, path: str) -> None:
        """What the scripts of an article do."""
        number = path.split("-")[-1][:-5]
        if self.chance(0.9):
            client.call(at + 0.2, f"/api/v2/counter?a={number}", path, "POST", 204)
        if self.chance(0.5):
            client.call(at + self.between(6, 20), f"/api/v2/comments?article={number}&page=1", path)
            if self.chance(0.06):
                user = f"leser{self.whole(0, 899)}"
                client.call(at + self.between(60, 120), "/api/v2/comments", path, "POST", 201, user=user)

    def _scroll(self, client: Client, at: float) -> float:
        """Somebody scrolls down an endless front page."""
        for number in range(self.whole(2, 8)):
            at += self.between(2.5, 7)
            client.call(at, f"/api/v2/teasers?offset={24 + 12 * number}", "/")
            for _ in range(12):
                client.call(at + self.between(0.2, 0.5), f"/img/teaser/{self.whole(0, 3999)}-480.webp", "/")
        return at

    @ordinary
    def visitors(self) -> None:
        """Readers at home and on the way."""
        for at in self.arrivals(7, -600):
            self.visit(self.client("visitor", self.household()), at)
        for at in self.arrivals(3, -600):
            self.visit(self.client("visitor-mobile", self.address(PHONES)), at)

    @ordinary
    def many_tabs(self) -> None:
        """Opens a dozen articles from the front page at once."""
        for at in self.arrivals(0.15):
            client = self.client("many-tabs")
            at = client.page(at, "/") + 8
            for number in range(self.whole(8, 21)):
                client.page(at + number * self.between(0.4, 1.2), self.article(), "/")

    @ordinary
    def live_ticker(self) -> None:
        """A page that asks for news of a match each five seconds."""
        path = "/sport/liveticker-kreispokal-final-990.html"
        for at in self.arrivals(1.2):
            client = self.client("live-ticker-5s")
            at = client.page(at, path, "/sport/")
            until = at + self.gap(1200)
            while at < until:
                at += 5 + self.between(-0.05, 0.1)
                status = self.draw({200: 0.2, 304: 0.8})
                client.call(at, f"/api/v2/ticker/990?since={int(at)}", path, status=status)

    @ordinary
    def shared_addresses(self) -> None:
        """A school, an office and a carrier, each behind one address."""
        for kind, people, span in (
            ("nat-school", 28, 2400),
            ("nat-office", 15, 3600),
            ("nat-carrier", 60, 3600),
        ):
            address = self.address(PHONES if kind == "nat-carrier" else HOMES)
            for _ in range(people):
                at = self.between(600, 1000) if kind == "nat-school" else self.between(0, span)
                client = self.client(kind, address, actor=kind)
                for _ in range(self.whole(1, 2)):
                    self.visit(client, at)
                    at += 900

    @ordinary
    def feeds(self) -> None:
        """Feed readers, and a service that fetches the articles too."""
        for agent, every, count in READERS:
            for _ in range(count):
                client = self.client("rss-reader", self.address(HOMES if count > 1 else CLOUDS), agent)
                at = self.between(0, every)
                while at < END:
                    for feed in FEEDS:
                        client.send(at, "GET", feed, self.draw({200: 0.3, 304: 0.7}))
                        at += 0.2
                    at += every
        client = self.client("rss-fulltext-5min", self.address(CLOUDS), INOREADER)
        for at in self.every(300, 30, jitter=0):
            client.send(at, "GET", "/rss/alle.xml")
            for number in range(6):
                client.send(at + 1 + number * 0.5, "GET", self.article(self.whole(0, 39)))

    @ordinary
    def flash_crowd(self) -> None:
        """Television mentions an article."""
        path = "/lokales/deichbruch-exklusiv-104001.html"
        for second in range(1800, 1980):
            count = self.draw({0: 0.2, 1: 0.4, 2: 0.3, 3: 0.1} if second < 1900 else {0: 0.6, 1: 0.4})
            for _ in range(count):
                client = self.client("flash-crowd", self.address(HOMES, PHONES))
                at = client.page(second + self.dice.random(), path, self.pick(SEARCH_ENGINES[:4] + ("",) * 3))
                if self.chance(0.3):
                    client.page(at + self.thinking(30), "/", path)

    @ordinary
    def screen_reader(self) -> None:
        """Goes through headings, follows many links for seconds, and goes back."""
        for at in self.arrivals(0.05):
            client = self.client("screen-reader")
            for _ in range(40):
                at = client.page(at, "/lokales/", "/") + self.between(1, 4)
                at = client.page(at, self.article(), "/lokales/")
                at += self.pick((self.between(2, 5), self.between(30, 120)))

    @ordinary
    def prefetch(self) -> None:
        """A script that fetches each link that the pointer passes."""
        for at in self.arrivals(0.6):
            client = self.client("prefetch-hover")
            at = client.page(at, "/", self.engine())
            for _ in range(self.whole(3, 9)):
                for _ in range(self.whole(1, 6)):
                    at += self.between(0.2, 2)
                    client.send(
                        at, "GET", self.article(), referer=self.base + "/", headers=agents.ASSET_HEADERS
                    )
                at = client.page(at + 1, self.article(), "/") + self.thinking(30)

    @ordinary
    def app(self) -> None:
        """The newspaper's app asks each minute what is new."""
        for at in self.arrivals(1):
            client = self.client("app-polling", self.address(PHONES), APP)
            client.send(at, "GET", "/api/app/v3/config")
            client.send(at + 0.3, "GET", "/api/app/v3/home")
            for _ in range(self.whole(3, 29)):
                at += 60
                client.send(at, "GET", "/api/app/v3/breaking", self.pick((200, 304, 304)))
                if self.chance(0.4):
                    client.send(at + 20, "GET", f"/api/app/v3/article/{104000 - self.rank(1500)}")
                    for number in range(3):
                        picture = f"/img/full/{self.whole(0, 8999)}-800.webp"
                        client.send(at + 20.3 + number * 0.05, "GET", picture)

    @ordinary
    def ad_verification(self) -> None:
        """A headless browser that looks again at pages with advertisements."""
        client = self.client("ad-verification", self.address(CLOUDS), VERIFIER)
        at = 100.0
        while at < END:
            client.send(at, "GET", self.article(), headers=agents.NAVIGATION_HEADERS)
            client.send(at + 1, "GET", "/static/js/app.77ab21.js", headers=agents.ASSET_HEADERS)
            at += self.gap(6)

    @ordinary
    def editors(self) -> None:
        """A moderator goes through comments, and a photographer uploads two hundred pictures."""
        moderator = self.client("moderator", user="redaktion.mueller")
        at = 300.0
        for number in range(260):
            path = f"/api/v2/moderation/{88000 + number}"
            moderator.call(at, path, "/redaktion/kommentare?status=offen", "POST")
            at += self.between(2, 7)
        photographer = self.client("upload-200-photos", user="foto.schmidt")
        page = "/redaktion/galerie/neu"
        at = photographer.page(1500, page, "/redaktion/")
        for _ in range(200):
            took = self.between(600, 2500)
            photographer.send(at, "POST", "/redaktion/api/media", 201, 300, took, self.base + page,
                              agents.SCRIPT_HEADERS)
            at += self.between(0.4, 1.5)

    @ordinary
    def login_mistakes(self) -> None:
        """Subscribers who do not remember their password at once, or at all."""
        for at in self.arrivals(0.5):
            client = self.client("login-mistakes")
            at = client.page(at, LOGIN, "/")
            for _ in range(self.whole(1, 4)):
                status = self.draw({401: 0.8, 422: 0.2})
                at = client.page(at + self.between(6, 25), LOGIN, LOGIN, status, "POST", assets=False)
            if self.chance(0.6):
                client.page(at + 15, LOGIN, LOGIN, 302, "POST", user=f"abo{self.whole(0, 9998)}")
                self.visit(client, at + 16)
            else:
                client.page(at + 15, RESET, LOGIN)
                client.page(at + 35, RESET, RESET, 302, "POST")

    plan = [
        {
            "comment-spam": partial(
                assaults.spam, page=lambda site: site.article(), form=lambda path: "/api/v2/comments"
            ),
            "scrape-id-order": partial(
                assaults.scrape_in_order, path=lambda site, number: site.article(number % 1500)
            ),
            "scanner-slow": assaults.scan_slowly,
        },
        {
            "declared-bot-theft": partial(
                assaults.declared_bot, path=lambda site, number: site.article(number % 1500)
            ),
            "flood-400-slow": partial(assaults.flood_slow_sources, path="/suche?q=a"),
            "stuffing-distributed": partial(assaults.stuffing_distributed, path=LOGIN),
        },
        {
            "scrape-200-ips": partial(
                assaults.scrape_from_many, path=lambda site, number: site.article(number % 1500)
            ),
            "scrape-headless": partial(
                assaults.scrape_with_browser, path=lambda site, number: site.article(number)
            ),
            "reset-bombing": partial(assaults.bomb_resets, path=RESET),
        },
    ]
