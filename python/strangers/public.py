"""What each public web site sees: crawlers, monitors, previews of links, old links, hired audits."""

from __future__ import annotations

from typing import Callable, Sequence

from . import agents
from .addresses import CLOUDS, HOMES, PHONES, SERVERS
from .web import WebSite
from .world import END, ordinary

BINGBOT = (
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; "
    "+http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36"
)
APPLEBOT = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1.1 "
    "Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)"
)
ARCHIVER = (
    "Mozilla/5.0 (compatible; archive.org_bot +http://archive.org/details/archive.org_bot) Zeno/a1b2c3"
)
MONITORS = (
    ("Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", 60, "216.144.250.150"),
    ("Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)", 60, "178.255.152.2"),
    ("Better Uptime Bot Mozilla/5.0 (Macintosh)", 30, "65.108.49.9"),
    ("StatusCake", 20, "188.226.247.184"),
)
PREVIEWS = (
    ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "173.252.87"),
    ("WhatsApp/2.23.20.0 A", ""),
    ("Twitterbot/1.0", "199.16.157"),
    ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "3.88.11"),
    ("TelegramBot (like TwitterBot)", "149.154.161"),
    ("Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)", "35.237.4"),
)
OLD_LINKS = (
    "/apple-touch-icon-precomposed.png", "/ads.txt", "/.well-known/security.txt", "/sitemap_old.xml",
    "/news.html",
)


class PublicSite(WebSite):
    """A web site that search engines know."""

    def crawler(
        self, kind: str, agent: str, addresses: Sequence[str], every: float, path: Callable[[], str],
        begin: float = 0.0, end: float = END, missing: float = 0.04,
    ) -> None:
        """A search engine: several addresses, the rules first, no referer."""
        clients = [self.client(kind, address, agent, actor=kind) for address in addresses]
        at = begin + self.between(0, 10)
        clients[0].send(at, "GET", "/robots.txt")
        while at < end:
            at += self.about(every, 0.6)
            status = self.draw({200: 0.8, 304: 0.12, 404: missing, 301: 0.04})
            self.pick(clients).send(at, "GET", path(), status)

    @ordinary
    def crawlers(self) -> None:
        """The large search engines, and an archive that is fast for half an hour."""
        google = [f"66.249.66.{number}" for number in (12, 13, 44, 45)]
        self.crawler("googlebot", agents.GOOGLEBOT, google, 9, self.some_path)
        bing = ["40.77.167.5", "40.77.167.61", "52.167.144.19"]
        self.crawler("bingbot", BINGBOT, bing, 14, self.some_path)
        self.crawler("applebot", APPLEBOT, ["17.241.75.9", "17.241.219.41"], 40, self.some_path)
        self.crawler("archive-bot", ARCHIVER, ["207.241.229.50"], 2.5, self.some_path, 600, 2700, 0.06)

    @ordinary
    def monitors(self) -> None:
        """Monitors that ask for the home page."""
        for agent, every, address in MONITORS:
            client = self.client("uptime-monitor", address, agent)
            at = self.between(0, every)
            while at < END:
                method = self.pick(("HEAD", "GET")) if "Robot" in agent else "GET"
                client.send(at, method, "/", headers=agents.CURL_HEADERS)
                at += every + self.between(-0.1, 0.1)

    @ordinary
    def previews(self) -> None:
        """Messengers fetch a page that somebody shared, and its picture."""
        for at in self.arrivals(0.8):
            agent, network = self.pick(PREVIEWS)
            address = f"{network}.{self.whole(1, 29)}" if network else self.address(PHONES)
            client = self.client("link-preview", address, agent)
            path = self.some_path()
            client.send(at, "GET", path)
            if self.chance(0.6):
                pictures = [name for name in self.assets(path) if isinstance(name, str)
                            and name.split("?")[0].endswith((".jpg", ".png", ".webp"))]
                client.send(at + 0.4, "GET", pictures[0] if pictures else "/favicon.ico")

    @ordinary
    def old_links(self) -> None:
        """Somebody follows a link that leads nowhere any more."""
        for at in self.arrivals(0.5):
            path = self.pick(OLD_LINKS + (f"/index.php?id={self.whole(0, 998)}",))
            self.client("old-link-404", self.address(HOMES)).send(at, "GET", path, 404, referer=self.engine())

    @ordinary
    def link_checker(self) -> None:
        """A partner checks the links to the site, one a second."""
        agent = "LinkChecker/10.2 (+https://linkchecker.github.io/linkchecker/)"
        client = self.client("link-checker", self.address(CLOUDS), agent)
        at = self.between(600, 1200)
        for _ in range(220):
            status = self.draw({200: 0.85, 404: 0.1, 301: 0.05})
            client.send(at, self.pick(("HEAD", "GET")), self.some_path(), status)
            at += self.between(0.9, 1.4)

    @ordinary
    def audit(self) -> None:
        """An audit for search engines that the owner pays for."""
        agent = "Mozilla/5.0 (compatible; SiteAuditBot/0.97; +http://www.semrush.com/bot.html)"
        client = self.client("seo-audit-hired", self.address(SERVERS), agent)
        at = 2000.0
        for _ in range(500):
            client.send(at, "GET", self.some_path(), self.draw({200: 0.88, 404: 0.07, 301: 0.05}))
            at += self.between(1.5, 2.5)
