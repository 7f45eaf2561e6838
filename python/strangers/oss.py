"""A free software project: documents, a repository, bugs, downloads, packages, builds of others."""

from __future__ import annotations

import random
from functools import partial

from . import agents, assaults
from .addresses import CLOUDS, HOMES, PHONES, SERVERS
from .public import PublicSite
from .web import WORDS, Asset, Client
from .world import END, ordinary

CHAPTERS = ("api", "guide", "howto", "reference")
BUILDERS = ((8, agents.CURL), (4, "Wget/1.21.4"), (3, "cmake/3.30.2"), (12, "git/2.43.0"))
RELEASES = (
    "/download/quux-3.2.1.tar.xz", "/download/quux-3.2.1.tar.xz.sig", "/download/quux-3.1.9.tar.gz"
)
WATCHERS = (
    ("RenovateBot/39.1 (https://github.com/renovatebot/renovate)", 6, 40),
    ("repology-fetcher/0 (+https://repology.org/docs/bots)", 1, 30),
    ("release-monitoring.org Anitya/2.0", 1, 20),
    ("Homebrew/4.4.20 (Macintosh; arm64 Mac OS X 14.6) curl/8.7.1", 15, 300),
)
READERS = ("Miniflux/2.2.5", "Feedbin feed-id:1 - 12 subscribers", "NewsBlur Feed Fetcher - 4 subscribers")
APT_12, APT_11 = "Debian APT-HTTP/1.3 (2.6.1)", "Debian APT-HTTP/1.3 (2.4.13)"
IN_RELEASE = "/apt/dists/bookworm/InRelease"
ANNOUNCEMENT = "/news/quux-4.0-released.html"


class Oss(PublicSite):
    """The project."""

    name = "oss"
    base = "https://www.libquux.org"

    def commit(self) -> str:
        """A commit of the repository."""
        return f"{random.Random(self.whole(0, 19999)).randrange(16**40):040x}"

    def repository(self) -> str:
        """A page of the repository, of which there are endlessly many."""
        base, file = "/git/?p=quux.git;a=", f"src/{self.word()}.c"
        return base + self.pick((
            f"commit;h={self.commit()}", f"commitdiff;h={self.commit()}", f"blob;f={file};hb={self.commit()}",
            f"log;pg={self.whole(0, 199)}", f"blame;f={file};hb={self.commit()}",
        ))

    def document(self) -> str:
        """A page of the documents."""
        version = self.pick(("latest", "latest", "latest", "3.2", "3.1"))
        return f"/docs/{version}/{self.pick(CHAPTERS)}/{self.word()}.html"

    def some_path(self) -> str:
        mail = f"/lists/quux-devel/2024-{self.whole(1, 12):02d}/msg{self.whole(0, 899):05d}.html"
        return self.draw({
            self.document(): 0.4, self.repository(): 0.2, f"/bugs/{self.whole(0, 8999)}": 0.2, mail: 0.1,
            f"/wiki/{self.word().title()}": 0.1,
        })

    def assets(self, path: str) -> list[Asset]:
        if path.startswith("/git"):
            return [
                "/git/static/gitweb.css", "/git/static/git-logo.png", "/git/static/gitweb.js",
                "/favicon.ico",
            ]
        if path.startswith("/docs"):
            names = ("pygments.css", "theme.css", "doctools.js", "searchtools.js", "logo.png")
            return ["/favicon.ico", *(f"/docs/_static/{name}" for name in names)]
        return ["/css/site.css", "/js/site.js", "/img/logo.svg", "/favicon.ico"]

    def visit(self, client: Client, at: float) -> None:
        """Somebody reads documents, code, bugs or news."""
        before, share = self.engine(), self.dice.random()
        for _ in range(1 + int(self.gap(4))):
            if share < 0.55:
                path = self.document()
            elif share < 0.7:
                path = self.repository()
            elif share < 0.85:
                path = f"/bugs/{self.rank(9000)}"
            else:
                path = self.pick(("/", "/download/", "/news/", f"/wiki/{self.word().title()}"))
            at = client.page(at, path, before) + self.thinking(28)
            before = path
            if self.chance(0.05):
                at = client.page(at, f"/docs/search.html?q={self.word()}", before)
                client.call(at, "/docs/searchindex.js", "/docs/search.html")

    def clone(self, client: Client, at: float) -> None:
        """A program clones the repository."""
        client.send(at, "GET", "/git/quux.git/info/refs?service=git-upload-pack", size=40000)
        size, took = self.pick((400, 30_000_000)), self.between(100, 9000)
        client.send(at + 0.3, "POST", "/git/quux.git/git-upload-pack", size=size, took=took)

    @ordinary
    def visitors(self) -> None:
        """Readers at home, on the way, and in an office."""
        for at in self.arrivals(9, -600):
            self.visit(self.client("visitor", self.household()), at)
        for at in self.arrivals(1, -600):
            self.visit(self.client("visitor-mobile", self.address(PHONES)), at)
        address = self.address(HOMES)
        for _ in range(40):
            self.visit(self.client("nat-office", address, actor="nat-office"), self.between(0, END))

    @ordinary
    def builds(self) -> None:
        """Builds of others: shared addresses, and ninety jobs that start at once."""
        for number, (rate, agent) in enumerate(BUILDERS):
            address = self.address(CLOUDS)
            for at in self.arrivals(rate):
                client = self.client("ci-egress", address, agent, actor=f"ci-egress-{number}")
                if agent.startswith("git/"):
                    self.clone(client, at)
                else:
                    client.send(at, "GET", self.pick(RELEASES), self.draw({200: 0.9, 302: 0.1}), 4_000_000)
        address, kind = self.address(CLOUDS), "ci-matrix-burst"
        for begin in (900, 2400, 3600):
            for _ in range(90):
                self.clone(self.client(kind, address, "git/2.47.1", actor=kind), begin + self.between(0, 12))
                client = self.client(kind, address, agents.CURL, actor=kind)
                path = "/download/deps/quux-deps-3.2.tar.zst"
                client.send(begin + self.between(5, 30), "GET", path, size=9_000_000)

    @ordinary
    def mirrors(self) -> None:
        """Mirrors fetch all old releases, and somebody the documents for a journey."""
        for _ in range(3):
            client = self.client("mirror-rsync-http", self.address(SERVERS), "lftp/4.9.2")
            at = self.between(0, 900)
            for number in range(500):
                version = f"{number // 60}.{number % 60 // 10}.{number % 10}"
                method = self.pick(("HEAD", "GET", "GET"))
                client.send(at, method, f"/download/old/quux-{version}.tar.gz", size=3_000_000)
                at += self.between(0.3, 1.5)
        client = self.client("wget-mirror-docs", agent="Wget/1.24.5")
        at = 500.0
        for number in range(420):
            path = f"/docs/latest/{CHAPTERS[number % 4]}/{WORDS[number % 30]}{number // 30 or ''}.html"
            status = self.draw({200: 0.97, 404: 0.03})
            client.send(at, "GET", path, status, referer=self.base + "/docs/latest/")
            at += self.between(1, 1.5)

    @ordinary
    def packages(self) -> None:
        """Package managers, many of them behind one company's proxy, and one that mostly finds nothing."""
        for at in self.arrivals(6):
            client = self.client("apt-client", agent=APT_12)
            client.send(at, "GET", IN_RELEASE, self.pick((200, 304)))
            for number in range(self.pick((0, 0, 2, 5))):
                path = f"/apt/pool/main/q/quux/libquux{number}_3.2.1-1_amd64.deb"
                client.send(at + 0.3 + number * 0.1, "GET", path)
        address, kind = self.address(HOMES), "apt-company-proxy"
        for at in self.arrivals(14):
            self.client(kind, address, self.pick((APT_12, APT_11)), actor=kind).send(
                at, "GET", IN_RELEASE, 304
            )
        client = self.client("maven-404", agent="Apache-Maven/3.9.6 (Java 17.0.9; Linux 5.15)")
        at = 1300.0
        for number in range(300):
            version = f"1.{number % 9}"
            path = f"/maven/org/{self.word()}/{self.word()}/{version}/{self.word()}-{version}.pom"
            client.send(at, "GET", path, self.draw({404: 0.93, 200: 0.07}))
            at += self.between(0.05, 0.3)

    @ordinary
    def release_day(self) -> None:
        """A release is talked about elsewhere."""
        for at in self.arrivals(70, 1800, 2100):
            client = self.client("flash-crowd", self.address(HOMES, PHONES, HOMES))
            source = self.pick(("https://news.ycombinator.com/", "https://lobste.rs/", ""))
            at = client.page(at, ANNOUNCEMENT, source)
            if self.chance(0.5):
                at = client.page(at + self.thinking(20), "/download/", ANNOUNCEMENT)
                client.send(at + 4, "GET", "/download/quux-4.0.0.tar.xz", headers=agents.NAVIGATION_HEADERS)

    @ordinary
    def developers(self) -> None:
        """A developer reads many commits, another sorts sixty bugs, and a third exports them all."""
        client, at = self.client("dev-git-browsing"), 300.0
        for number in range(90):
            path = f"/git/?p=quux.git;a=log;pg={number // 9}"
            at = client.page(at, path, "/git/") + self.between(1, 3)
            for tab in range(self.whole(2, 7)):
                commit = f"/git/?p=quux.git;a=commitdiff;h={self.commit()}"
                client.page(at + tab * 0.6, commit, "/git/?p=quux.git;a=log")
            at += self.thinking(25)
        client = self.client("bug-triager", user="anna")
        at = client.page(700, "/bugs/?status=new", "/")
        for number in range(60):
            client.page(at + number * 0.5, f"/bugs/{8000 + number}", "/bugs/?status=new")
        at += 60
        for number in range(60):
            at += self.between(4, 15)
            path = f"/bugs/{8000 + number}"
            client.send(at, "POST", f"{path}/edit", 302, 200, 90, self.base + path, agents.FORM_HEADERS)
        client = self.client("bug-export-login", self.address(SERVERS), "python-bugzilla/3.2.0", "exporter")
        at = 900.0
        for number in range(900):
            status = self.draw({200: 0.96, 401: 0.02, 404: 0.02})
            client.send(at, "GET", f"/bugs/rest/bug/{number + 1000}", status)
            at += self.between(0.4, 1)

    @ordinary
    def watchers(self) -> None:
        """Programs that wait for releases and news, and a forge that calls back."""
        for agent, count, every in WATCHERS:
            for _ in range(count):
                pool = CLOUDS if count < 10 else HOMES
                client = self.client("release-watchers", self.address(pool), agent)
                for at in self.every(every, self.between(0, every), jitter=0.2):
                    path = self.pick(("/download/releases.json", "/download/"))
                    client.send(at, "GET", path, self.pick((200, 304)))
        for _ in range(25):
            client = self.client("rss-reader", agent=self.pick(READERS))
            for at in self.every(900, self.between(0, 900), jitter=0):
                path = self.pick(("/news/atom.xml", "/git/?p=quux.git;a=rss"))
                client.send(at, "GET", path, self.pick((200, 304)))
        hook = self.client("webhook-forge", "140.82.115.9", "GitHub-Hookshot/8a1b2c")
        for at in self.arrivals(5):
            hook.send(at, "POST", "/hooks/github", self.pick((200, 202)))

    @ordinary
    def updates(self) -> None:
        """The software asks for its updates, at homes and behind one company's address."""
        for at in self.arrivals(40):
            client = self.client("app-update-check", agent="quux/3.2.0 (Linux)")
            client.send(at, "GET", "/update/check?v=3.2.0&os=linux", headers=agents.CURL_HEADERS)
        address, kind = self.address(HOMES), "app-update-nat"
        for at in self.arrivals(25):
            client = self.client(kind, address, "quux/3.2.0 (Windows)", actor=kind)
            client.send(at, "GET", "/update/check?v=3.2.0&os=win", headers=agents.CURL_HEADERS)

    plan = [
        {
            "scrape-1500-proxies": partial(
                assaults.scrape_through_proxies, path=lambda site, number: site.repository()
            ),
            "fake-signups": partial(assaults.fake_signups, path="/bugs/register"),
            "flood-1-source": partial(
                assaults.flood_one_source, path="/git/?p=quux.git;a=snapshot;h=HEAD;sf=tgz", rate=15
            ),
        },
        {
            "scanner-noisy": assaults.scan_noisily,
            "declared-bot-theft": partial(
                assaults.declared_bot, path=lambda site, number: site.repository()
            ),
            "comment-spam": partial(
                assaults.spam, page=lambda site: f"/bugs/{site.whole(0, 8999)}",
                form=lambda path: f"{path}/comment", done=302,
            ),
        },
        {
            "scrape-id-order": partial(
                assaults.scrape_in_order, path=lambda site, number: f"/bugs/{number + 1}"
            ),
            "stuffing-fast": partial(assaults.stuffing_fast, path="/bugs/login"),
            "search-scraping": partial(
                assaults.scrape_search, path=lambda words, page: f"/bugs/?q={words}&page={page}"
            ),
        },
    ]
