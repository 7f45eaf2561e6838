"""A house of podcasts: pages that prefetch, an app, feeds, files in parts, a live stream."""

from __future__ import annotations

from functools import partial

from . import agents, assaults
from .addresses import CLOUDS, HOMES, PHONES
from .public import PublicSite
from .web import WORDS, Asset, Client, WebSite, letters
from .world import ordinary

PIXEL_APP = "Hoerwerk/8.2.0 (Android 14; Pixel 7) okhttp/4.12.0"
IPHONE_APP = "Hoerwerk/8.2.1 (iPhone15,2; iOS 18.3) CFNetwork/1568.300.101 Darwin/24.2.0"
OLD_APP = "Hoerwerk/5.0.2 (Android 8; SM-G930F) okhttp/3.12.1"
SPEAKER = "AlexaMediaPlayer/2.1.4676.0 (Linux;Android 5.1.1) ExoPlayerLib/1.5.9"
CATCHER_SERVERS = (
    ("Overcast/1.0 Podcast Sync (123 subscribers; feed-id=8123; +http://overcast.fm/)", 4, CLOUDS),
    ("iTMS", 3, ["17.58"]),
    ("Spotify/1.0", 5, CLOUDS),
    ("PocketCasts/1.0 (Pocket Casts Feed Parser; +http://pocketcasts.com/)", 3, CLOUDS),
    ("CastFeedValidator/3.6.1", 30, CLOUDS),
)
CATCHER_PHONES = (
    "AntennaPod/3.6.1", "Podcasts/1650.20 CFNetwork/1333.0.4 Darwin/21.5.0",
    "gPodder/3.11.4 (http://gpodder.org/) Linux",
)
PLAYLIST = "/hls/live/index.m3u8"
LOGIN = "/api/v4/login"
REDEEM = "/api/v4/giftcodes/redeem"


def rip_media(site: WebSite, begin: float, end: float) -> None:
    """One source fetches each episode with its file."""
    client = site.attacker(agent="yt-dlp/2025.02.19")
    at, number = begin, 0
    while at < end:
        client.send(at, "GET", f"/show/{WORDS[number % 30]}/folge/{number}")
        took = site.between(500, 3000)
        client.send(at + 0.4, "GET", f"/media/{number}/audio.mp3", size=40_000_000, took=took)
        at += site.between(1.2, 2.4)
        number += 1


def fake_plays(site: WebSite, begin: float, end: float) -> None:
    """Sixty machines with the app's name play one episode for a kilobyte each half minute."""
    for _ in range(60):
        client = site.attacker(agent=PIXEL_APP)
        at = begin + site.between(0, 40)
        while at < end:
            client.send(at, "GET", "/media/2881/audio.mp3", 206, 1024, 5)
            client.send(at + 0.2, "POST", "/api/v4/progress", 204)
            at += site.between(28, 33)


class Pod(PublicSite):
    """The house of podcasts."""

    name = "pod"
    base = "https://www.hoerwerk.fm"

    def episode(self, number: int | None = None) -> str:
        """An episode's page."""
        number = self.rank(3000) if number is None else number
        return f"/show/{WORDS[number % 30]}/folge/{number}"

    def some_path(self) -> str:
        return self.draw({
            self.episode(self.whole(0, 2999)): 0.7, f"/show/{self.word()}": 0.2, f"/thema/{self.word()}": 0.1
        })

    def assets(self, path: str) -> list[Asset]:
        names = (
            "chunks/main-1f2.js", "chunks/framework-9a.js", "chunks/pages/_app-77.js", "css/5d.css",
            "media/inter.woff2",
        )
        found: list[Asset] = ["/favicon.ico", *(f"/_next/static/{name}" for name in names)]
        number, covers = letters(path), 1 if "/folge/" in path else 12
        return found + [
            f"/_next/image?url=%2Fcovers%2F{(number + place) % 500}.jpg&w=384&q=75" for place in range(covers)
        ]

    def user(self) -> str:
        """Somebody with an account."""
        return f"u{self.whole(0, 99998)}"

    def app_agent(self) -> str:
        """The app, on either system."""
        return self.pick((PIXEL_APP, IPHONE_APP))

    def listen(self, client: Client, at: float, number: int | None = None) -> float:
        """Loads the file of an episode, mostly in parts."""
        path = f"/media/{self.whole(0, 2999) if number is None else number}/audio.mp3"
        parts = self.pick((1, 2, 3, 8, 20))
        headers = agents.ASSET_HEADERS if "Mozilla" in client.agent else agents.BOT_HEADERS
        for _ in range(parts):
            status = 206 if parts > 1 or self.chance(0.8) else 200
            size, took = self.whole(200_000, 9_000_000), self.between(100, 20000)
            client.send(at, "GET", path, status, size, took, headers=headers)
            at += self.between(1, 60)
        return at

    def visit(self, client: Client, at: float) -> None:
        """Somebody looks for episodes and listens; pages fetch the data of links ahead."""
        before, path = self.engine(), self.pick(("/", self.episode(), f"/show/{self.word()}"))
        for _ in range(1 + int(self.gap(4))):
            at = client.page(at, path, before)
            for _ in range(self.whole(3, 13)):
                data = f"{self.pick(('show', 'show', 'thema'))}/{self.word()}/{self.whole(0, 2999)}.json"
                status = self.draw({200: 0.95, 404: 0.05})
                client.call(at + self.between(0.1, 1), f"/_next/data/bLd7/{data}", path, status=status)
            if "/folge/" in path and self.chance(0.5):
                self.listen(client, at + 3, int(path.rsplit("/", 1)[1]))
                for _ in range(self.whole(2, 59)):
                    at += 10
                    client.call(at, "/api/progress", path, "PUT", 204)
            at += self.thinking(20)
            before = path
            if self.chance(0.1):
                word = self.word()
                for at, typed in self.typed(at, word, 1):
                    client.call(at, f"/api/search/suggest?q={typed}", path)
                path = f"/suche?q={word}"
            else:
                path = self.pick((self.episode(), f"/show/{self.word()}", "/"))

    def use_app(self, client: Client, at: float) -> None:
        """A session in the app."""
        client.send(at, "GET", "/api/v4/me", self.draw({200: 0.93, 401: 0.07}))
        if self.chance(0.2):
            client.send(at + 0.1, "POST", "/api/v4/token/refresh")
        client.send(at + 0.3, "GET", "/api/v4/home")
        for number in range(14):
            client.send(at + 0.6 + 0.02 * number, "GET", f"/covers/{self.whole(0, 499)}@2x.jpg")
        at += 5
        for _ in range(self.whole(3, 24)):
            share = self.dice.random()
            if share < 0.3:
                client.send(at, "GET", f"/api/v4/shows/{self.whole(0, 199)}")
                path = f"/api/v4/shows/{self.whole(0, 199)}/episodes?offset=0&limit=50"
                client.send(at + 0.2, "GET", path)
            elif share < 0.6:
                client.send(at, "POST", "/api/v4/progress", 204)
            elif share < 0.7:
                self.listen(client, at)
            else:
                path = f"/api/v4/sync?cursor={self.whole(0, 10**9)}"
                client.send(at, "GET", path, self.pick((200, 304)))
            at += self.between(8, 60)

    @ordinary
    def visitors(self) -> None:
        """Listeners at home, in the app, behind a carrier, and in a school."""
        for at in self.arrivals(4, -600):
            self.visit(self.client("visitor", self.household()), at)
        for at in self.arrivals(6, -600):
            address = self.address(PHONES if self.chance(0.6) else HOMES)
            self.use_app(self.client("app-user", address, self.app_agent(), self.user()), at)
        address, kind = self.address(PHONES), "nat-carrier-app"
        for at in self.arrivals(5):
            self.use_app(self.client(kind, address, self.app_agent(), self.user(), kind), at)
        address = self.address(HOMES)
        for _ in range(25):
            client = self.client("nat-school", address, actor="nat-school")
            self.visit(client, 900 + self.between(0, 300))

    @ordinary
    def catchers(self) -> None:
        """Podcatchers on servers and phones, and one that loads a whole show."""
        for agent, every, pool in CATCHER_SERVERS:
            client = self.client("podcatcher-server", self.address(pool), agent)
            for at in self.every(every, self.between(0, 3), jitter=0.3):
                method = self.pick(("GET", "HEAD")) if "Cast" in agent else "GET"
                status = self.draw({200: 0.3, 304: 0.68, 404: 0.02})
                client.send(at, method, f"/feed/{self.word()}.xml", status)
        for at in self.arrivals(6):
            client = self.client("podcatcher-phone", self.address(HOMES, PHONES), self.pick(CATCHER_PHONES))
            for number in range(self.whole(1, 24)):
                client.send(at, "GET", f"/feed/{WORDS[number]}.xml", self.pick((200, 304, 304)))
                at += self.between(0.05, 0.4)
            for _ in range(self.pick((0, 0, 1, 3, 10))):
                at = self.listen(client, at)
        client, at = self.client("downloads-back-catalogue", agent="AntennaPod/3.6.1"), 800.0
        for number in range(120):
            took = self.between(3000, 12000)
            client.send(at, "GET", f"/media/{number * 30 + 4}/audio.mp3", size=60_000_000, took=took)
            at += self.between(1, 5)

    @ordinary
    def live_stream(self) -> None:
        """The live stream in segments of four seconds, and the thirty speakers of a hotel."""
        for at in self.arrivals(1):
            client = self.client("hls-live", self.address(HOMES, PHONES))
            until, number = at + self.gap(900), int(at / 4)
            at = client.page(at, "/live", "/")
            while at < until:
                client.call(at, PLAYLIST, "/live", size=900)
                client.call(at + 0.1, f"/hls/live/seg{number}.aac", "/live", size=64000)
                number += 1
                at += 4
        address, kind = self.address(HOMES), "nat-smart-speakers"
        for _ in range(30):
            client = self.client(kind, address, SPEAKER, actor=kind)
            for at in self.every(10, self.between(0, 300), jitter=0):
                client.send(at, "GET", PLAYLIST, size=900)
                client.send(at + 0.1, "GET", f"/hls/live/seg{int(at / 4)}.aac", size=64000)

    @ordinary
    def creators(self) -> None:
        """A creator uploads pictures and waits for a job, another's script reads all figures."""
        client, page = self.client("upload-200-photos", user="creator77"), "/studio/upload"
        at = client.page(1500, page, "/studio/")
        for number in range(200):
            path, took = f"/api/studio/chapters/{number}/image", self.between(400, 2500)
            client.send(at, "PUT", path, 201, 300, took, self.base + page, agents.SCRIPT_HEADERS)
            at += self.between(0.3, 1)
        for _ in range(300):
            at += 2
            client.call(at, "/api/studio/jobs/5512", page)
        exporter = self.client("exporter-login", agent="python-requests/2.31.0", user="creator12")
        at = 300.0
        for number in range(900):
            exporter.send(at, "GET", f"/api/v4/stats/episodes/{number}?from=2024-01-01")
            at += self.between(0.3, 0.8)

    @ordinary
    def odd_programs(self) -> None:
        """Old apps whose token is no longer good, and a car that loads files in small parts."""
        for at in self.arrivals(0.3):
            client = self.client("stale-token-401-loop", self.address(PHONES), OLD_APP)
            for _ in range(self.whole(20, 149)):
                client.send(at, "GET", "/api/v4/sync?cursor=0", 401)
                at += 10 + self.between(-0.2, 0.2)
        player = self.client("range-64k-player", self.address(PHONES), "stagefright/1.2 (Linux;Android 9)")
        at = 500.0
        for _ in range(900):
            player.send(at, "GET", "/media/812/audio.mp3", 206, 65536)
            at += self.between(1, 3)

    @ordinary
    def mistakes(self) -> None:
        """Gift codes and passwords that are mistyped."""
        for at in self.arrivals(0.4):
            client = self.client("giftcode-typos")
            at = client.page(at, "/einloesen")
            for number in range(self.whole(1, 5)):
                at += self.between(10, 25)
                client.call(at, REDEEM, "/einloesen", "POST", 422 if number < 4 else 200)
        for at in self.arrivals(0.7):
            client = self.client("login-mistakes")
            at = client.page(at, "/login", "/")
            for _ in range(self.whole(1, 4)):
                at += self.between(6, 25)
                client.call(at, LOGIN, "/login", "POST", 401)
            if self.chance(0.6):
                client.call(at + 15, LOGIN, "/login", "POST")
                self.visit(client, at + 17)
            else:
                client.call(at + 30, "/api/v4/password/forgot", "/login", "POST", 202)

    plan = [
        {
            "stuffing-fast": partial(assaults.stuffing_fast, path=LOGIN),
            "media-ripping": rip_media,
            "stuffing-distributed": partial(assaults.stuffing_distributed, path=LOGIN),
        },
        {
            "giftcard-guessing": partial(assaults.guess_codes, path=REDEEM, page="/einloesen", failed=422),
            "fake-signups": partial(assaults.fake_signups, path="/api/v4/register", done=201),
            "fake-plays": fake_plays,
        },
        {
            "id-enumeration": partial(
                assaults.enumerate_ids, path=lambda site, number: f"/api/v4/users/{number + 1000}", found=0.4,
                every=1.2, count=800,
            ),
            "bruteforce-slow": partial(assaults.brute_force_slow, path=LOGIN),
            "carding": partial(
                assaults.carding, product="/abo", add="", checkout="/api/v4/subscriptions", page="/abo",
                done=201, failed=402,
            ),
        },
    ]
