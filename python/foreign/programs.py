"""Harmless programs: crawlers that behave, monitors, feed readers, integrations, hooks, scripts of developers."""

from __future__ import annotations

from . import addresses
from .people import Browser
from .sites import Hit, about, hexes
from .tape import Stage
from .telling import Client
from .visitors import Play

GOOGLEBOT = (
    "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/134.0.6998.88 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
)
BINGBOT = (
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; "
    "+http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36"
)
SEO = (
    ("54.36.148", "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)"),
    ("185.191.171", "Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)"),
    ("216.244.66", "Mozilla/5.0 (compatible; DotBot/1.2; +https://opensiteexplorer.org/dotbot; help@moz.com)"),
)
PREVIEWS = (
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "Twitterbot/1.0", "WhatsApp/2.23.20.0",
    "TelegramBot (like TwitterBot)", "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
)
READERS = ("NetNewsWire (RSS Reader; https://netnewswire.com/)", "Reeder/5050001 CFNetwork/1568 Darwin/24.2.0",
           "Tiny Tiny RSS/24.12 (https://tt-rss.org/)", "Miniflux/2.2.6; +https://miniflux.app",
           "FreshRSS/1.26.0 (Linux; https://freshrss.org)", "Thunderbird/128.8.0")
FEED_SERVICES = (
    "Feedly/1.0 (+http://www.feedly.com/fetcher.html; 412 subscribers; like FeedFetcher-Google)",
    "Inoreader/1.0 (+http://www.inoreader.com/feed-fetcher; 88 subscribers; )",
)
PODCASTS = ("AppleCoreMedia/1.0.0.22D72 (iPhone; U; CPU OS 18_3_1 like Mac OS X; de_de)", "AntennaPod/3.7.0",
            "Spotify/9.0.24 Android/34 (SM-S911B)", "Overcast/3.0 (+http://overcast.fm/; iOS podcast app)",
            "PocketCasts/1.0 (Pocket Casts Feed Parser; +http://pocketcasts.com/)")


def _crawl(stage: Stage, kind: str, agent: str, network: str, pause: float, share_known: float) -> None:
    """Fetches pages at the pace of a polite crawler: the rules first, then things far from each other."""
    dice, site = stage.dice, stage.site
    client = stage.program(kind, agent, f"{network}.{dice.randrange(1, 255)}")
    if not site.public("item"):
        # A handful of pages is soon known, and looked at again now and then.
        pause *= 15
    at = stage.sometime(0, 0.2)
    stage.send(at, client, Hit("GET", "/robots.txt", 200, 420, 3, 0))
    while (at := at + about(dice, pause, 0.7)) < stage.end:
        role = dice.choices(("item", "list", "home"), (14, 3, 1))[0]
        role = role if site.public(role) else "home"
        # Old addresses are tried for years, and answer 404.
        number = dice.randrange(site.items) if dice.random() < 0.97 else site.items + dice.randrange(900)
        hit = site.hit(dice, role, number, page=dice.randint(1, 9))
        if hit.status == 200 and dice.random() < share_known:
            hit = hit._replace(status=304, size=0)
        stage.send(at, client, hit)
        if role == "item" and site.assets and dice.random() < 0.05:
            asset = Hit("GET", dice.choice(site.assets), 200, 42000, 4, 0)
            stage.send(at + dice.uniform(1, 5), client, asset)


def googlebot(stage: Stage, kind: str) -> None:
    """Google's crawler; one of several addresses."""
    _crawl(stage, kind, GOOGLEBOT, "66.249.66", stage.dice.uniform(4, 18), 0.15)


def bingbot(stage: Stage, kind: str) -> None:
    """Bing's crawler."""
    _crawl(stage, kind, BINGBOT, "40.77.167", stage.dice.uniform(6, 25), 0.1)


def seo(stage: Stage, kind: str) -> None:
    """A crawler of those who sell lists of links, with the delay that the rules ask for."""
    network, agent = stage.dice.choice(SEO)
    _crawl(stage, kind, agent, network, stage.dice.uniform(3, 11), 0.0)


def archiver(stage: Stage, kind: str) -> None:
    """An archive's crawler: slow, and with what pages need."""
    agent = "Mozilla/5.0 (compatible; archive.org_bot +http://archive.org/details/archive.org_bot)"
    _crawl(stage, kind, agent, "207.241.232", stage.dice.uniform(7, 20), 0.0)


def audit(stage: Stage, kind: str) -> None:
    """A tool that opens each page of a list in a browser, to look for barriers."""
    dice = stage.dice
    agent = (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0.0.0 "
        "Safari/537.36 pa11y/8.0"
    )
    browser = Browser(stage, stage.program(kind, agent), stage.sometime(0, 0.7), warm=False)
    for _ in range(dice.randint(20, 60)):
        # A fresh profile each time: everything is loaded again.
        browser.forget()
        browser.page = ""
        browser.open(dice.choice([role for role in ("home", "list", "item") if stage.site.public(role)]))
        browser.at += dice.uniform(2, 6)


def preview(stage: Stage, kind: str) -> None:
    """Somebody shared a link: its page is fetched once, perhaps its picture too."""
    client = stage.program(kind, stage.dice.choice(PREVIEWS))
    at = stage.sometime()
    role = "item" if stage.site.public("item") else "home"
    for _ in range(stage.dice.choice((1, 1, 1, 2))):
        stage.send(at, client, stage.site.hit(stage.dice, role))
        at += stage.dice.uniform(0.5, 3)


def uptime(stage: Stage, kind: str) -> None:
    """A monitor that asks the same each minute, else each half or five minutes, from one of its places."""
    dice, site = stage.dice, stage.site
    agent = dice.choice((
        "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
        "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)", "Better Stack Better Uptime Bot Mozilla/5.0",
        "Uptime-Kuma/1.23.16",
    ))
    client, every = stage.program(kind, agent, key=_key(stage)), dice.choice((30, 60, 60, 60, 300))
    head = dice.random() < 0.3
    role = next(role for role in ("home", "config", "usage") if site.public(role) or client.key and site.has(role))
    number = site.popular(dice)
    at = stage.start + dice.uniform(0, every)
    while at < stage.end:
        hit = site.hit(dice, role, number)
        stage.send(at, client, hit._replace(method="HEAD", size=0) if head and hit.method == "GET" else hit)
        at += every + dice.uniform(-0.3, 0.3)


def health(stage: Stage, kind: str) -> None:
    """The balancer asks whether the server lives."""
    client = stage.program(kind, "ELB-HealthChecker/2.0", f"198.18.0.{stage.dice.randrange(2, 250)}")
    at = stage.start + stage.dice.uniform(0, 10)
    while at < stage.end:
        stage.send(at, client, Hit("GET", "/healthz", 200, 2, about(stage.dice, 1.5, 0.3), 0))
        at += 10.0 + stage.dice.uniform(-0.05, 0.05)


def synthetic(stage: Stage, kind: str) -> None:
    """A script that plays a customer in a real browser every few minutes."""
    agent = (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/133.0.0.0 Safari/537.36 "
        "DatadogSynthetics"
    )
    browser = Browser(stage, stage.program(kind, agent), stage.start + stage.dice.uniform(0, 200), warm=False)
    while not browser.over:
        began = browser.at
        browser.forget()
        browser.land("home")
        browser.at += 1
        browser.log_in(quick=True)
        browser.wander(3, 1.2)
        browser.at = began + 300 + stage.dice.uniform(-2, 2)


def feed_reader(stage: Stage, kind: str) -> None:
    """Asks for the feed every ten minutes to an hour, and is mostly told that nothing is new."""
    dice = stage.dice
    client = Client(addresses.home(dice), dice.choice(READERS), stage.actor, kind)
    every = dice.choice((600, 900, 1800, 1800, 3600))
    at = stage.start + dice.uniform(0, every)
    while at < stage.end:
        hit = stage.site.hit(dice, "feed")
        stage.send(at, client, hit if dice.random() < 0.25 else hit._replace(status=304, size=0))
        at += every + dice.uniform(-4, 9)


def feed_service(stage: Stage, kind: str) -> None:
    """A service that reads feeds for thousands: it comes often, for itself only."""
    dice = stage.dice
    agent = "Mozilla/5.0 (compatible; PriceImport/2.1; +https://vergleich.example/bot)"
    if "products" not in stage.site.routes["feed"].path:
        agent = dice.choice(FEED_SERVICES)
    client = stage.program(kind, agent)
    at = stage.sometime(0, 0.1)
    while at < stage.end:
        stage.send(at, client, stage.site.hit(dice, "feed"))
        at += dice.uniform(60, 240)


def podcast(stage: Stage, kind: str) -> None:
    """Fetches the feed, then an episode in many parts."""
    dice = stage.dice
    client = Client(addresses.home(dice), dice.choice(PODCASTS), stage.actor, kind)
    at = stage.sometime(0, 0.9)
    stage.send(at, client, stage.site.hit(dice, "podcast"))
    # Nearly everybody listens to the latest.
    hit = stage.site.hit(dice, "episode", page=812 - int(6 * dice.random() ** 3))
    for _ in range(dice.choice((1, 2, 6, 20, 35))):
        at += dice.uniform(0.5, 20)
        stage.send(at, client, hit._replace(size=dice.randrange(65536, 1500000), ms=about(dice, 700, 0.7)))


def webhook(stage: Stage, kind: str) -> None:
    """A payment service or a forge tells what happened, in bunches, and again when nobody answered."""
    dice = stage.dice
    agent = "GitHub-Hookshot/7a1e2c3" if "hooks" in stage.site.routes["webhook"].path else dice.choice(
        ("Stripe/1.0 (+https://stripe.com/docs/webhooks)", "Adyen HttpClient 1.0", "Mollie.com HTTP client/2.0"))
    firsts = [addresses.cloud(dice) for _ in range(4)]
    at = stage.start
    while (at := at + dice.expovariate(1 / 22)) < stage.end:
        later = at
        for _ in range(dice.choice((1, 1, 2, 3, 7))):
            client = stage.program(kind, agent, dice.choice(firsts))
            hit = stage.site.hit(dice, "webhook")
            wait = 5.0
            while stage.send(later, client, hit) >= 500 and wait < 700:
                later += wait
                wait *= 3
            later += dice.uniform(0.02, 0.4)


def _key(stage: Stage) -> str:
    return "od_live_" + hexes(f"{stage.seed}{stage.actor}key", 24) if "usage" in stage.site.routes else ""


def _integration(stage: Stage, kind: str, rate: float, begin: float, seconds: float, role: str = "") -> None:
    """A server of a customer that asks at a rate, from one or two addresses, with its key or a token."""
    dice, site = stage.dice, stage.site
    agent = dice.choice(("python-requests/2.32.3", "axios/1.7.9", "okhttp/4.12.0", "Go-http-client/2.0",
                         "Java-http-client/21.0.2", "GuzzleHttp/7", "Ruby", "acme-crm-sync/3.2"))
    clients = [stage.program(kind, agent, key=_key(stage), session=True) for _ in range(dice.choice((1, 1, 2)))]
    roles = [found for found in ("item", "near", "search", "list") if site.has(found)]
    weights = [6, 2, 2, 1][: len(roles)]
    at, page = begin, 1
    until = min(stage.end, begin + seconds)
    while (at := at + dice.expovariate(rate)) < until:
        chosen = role or dice.choices(roles, weights)[0]
        hit = site.hit(dice, chosen, dice.randrange(int(site.items * 1.01)), page=page)
        page = page % 40 + 1
        if stage.send(at, dice.choice(clients), hit) >= 500:
            at += dice.uniform(1, 8)


def integration_slow(stage: Stage, kind: str) -> None:
    """One request every few seconds, all day."""
    _integration(stage, kind, stage.dice.uniform(0.05, 0.6), stage.start, stage.span)


def integration_fast(stage: Stage, kind: str) -> None:
    """Live traffic of a large customer: its users are asking."""
    _integration(stage, kind, stage.dice.uniform(0.8, 2.5), stage.start, stage.span)


def integration_batch(stage: Stage, kind: str) -> None:
    """A job that runs for some minutes as fast as it is answered, page by page."""
    role = stage.dice.choice(("list", "item", "batch"))
    rate = stage.dice.uniform(5, 20) if role != "batch" else 1.5
    _integration(stage, kind, rate, stage.sometime(0.05, 0.8), stage.dice.uniform(45, 150), role)


def key_web(stage: Stage, kind: str) -> None:
    """A web page of a customer asks with the customer's key out of the browsers of its readers."""
    dice, site = stage.dice, stage.site
    client = stage.person(kind)._replace(key="od_pub_" + hexes(f"{stage.seed}{dice.randrange(4)}", 24))
    browser = Browser(stage, client, stage.sometime())
    browser.page = ""
    for _ in range(dice.randint(2, 12)):
        hit = site.hit(dice, dice.choice(("near", "search", "item")))
        stage.send(browser.at, client, hit, "https://filialen.kundenseite.example/")
        browser.think(8)


def key_expired(stage: Stage, kind: str) -> None:
    """A forgotten job whose key was revoked: it asks each half minute and is refused."""
    client = stage.program(kind, "python-requests/2.25.1", key=_key(stage))
    at = stage.sometime(0, 0.05)
    while (at := at + 30 + stage.dice.uniform(0, 1)) < stage.end:
        stage.send(at, client, stage.site.hit(stage.dice, "item", 77)._replace(status=401, size=58, ms=3.0))


def ci(stage: Stage, kind: str) -> None:
    """Tests of a customer: a runner that nobody saw before asks for two minutes, with a test's mistakes."""
    dice, site = stage.dice, stage.site
    at = stage.sometime(0, 0.95)
    agent = dice.choice(("node-fetch/1.0 (+https://github.com/bitinn/node-fetch)", "curl/8.5.0", "python-httpx/0.28.1"))
    client = stage.program(kind, agent, key=_key(stage), session=True)
    for _ in range(dice.randint(40, 160)):
        role = dice.choice([found for found in ("item", "list", "search", "me") if site.has(found)])
        number = site.items + 5 if dice.random() < 0.08 else dice.randrange(60)
        stage.send(at, client, site.hit(dice, role, number))
        at += dice.uniform(0.05, 1.4)


def developer(stage: Stage, kind: str) -> None:
    """Somebody who builds something tries requests by hand, half of them wrong at first. Without a key they are
    refused what is private, until they fetch a token as the app does."""
    dice, site = stage.dice, stage.site
    agent = dice.choice(("curl/8.5.0", "PostmanRuntime/7.43.0", "insomnia/10.3.1", "HTTPie/3.2.4"))
    client = Client(addresses.home(dice), agent, stage.actor, kind, key=_key(stage))
    at = stage.sometime(0, 0.8)
    roles = [role for role in ("item", "list", "search", "api", "me", "home", "batch") if site.has(role)]
    for _ in range(dice.randint(8, 50)):
        at += about(dice, 18, 1.0)
        if site.private and not client.known and dice.random() < 0.3:
            good = dice.random() < 0.7
            client = client._replace(session=stage.send(at, client, site.hit(dice, "login", good=good)) < 300 and good)
            continue
        hit = site.hit(dice, dice.choice(roles), dice.randrange(200))
        wrong = dice.random()
        if wrong < 0.12:
            hit = hit._replace(status=400, size=120, ms=3.0)
        elif wrong < 0.2:
            hit = site.lost(dice, hit.path.split("?")[0].rstrip("/") + "s", hit.method)
        elif wrong < 0.26 and site.has("usage"):
            hit = hit._replace(status=401, size=58, ms=2.0)
        stage.send(at, client, hit)


def bulk_reader(stage: Stage, kind: str) -> None:
    """A script that asks the public interface once a second, as its rules allow, and says who it is."""
    dice = stage.dice
    agent = "LexikonAbgleich/1.4 (https://uni.example/lexikon; projekt@uni.example) python-requests/2.32"
    client = stage.program(kind, agent)
    at = stage.sometime(0, 0.3)
    for number in range(dice.randint(300, 900)):
        stage.send(at, client, stage.site.hit(dice, "api", number * 7 % stage.site.items))
        at += dice.uniform(1.0, 1.6)


def aggregator(stage: Stage, kind: str) -> None:
    """An accounting service that fetches for its customers what they allowed it to, one after the other."""
    dice, site = stage.dice, stage.site
    client = stage.program(kind, "FinLink-Sync/5.1 (+https://finlink.example)", session=True)
    at = stage.sometime(0, 0.1)
    while at < stage.end:
        stage.send(at, client, site.hit(dice, "account"))
        number = dice.randrange(site.items)
        for page in range(1, dice.randint(2, 5)):
            at += dice.uniform(0.4, 1.2)
            stage.send(at, client, site.hit(dice, "item", number, page=page))
        at += about(dice, 14, 0.8)


def meta_search(stage: Stage, kind: str) -> None:
    """A partner who compares prices and may ask: a steady request every second or two."""
    dice = stage.dice
    client = stage.program(kind, "ReiseVergleich-Partner/2.7")
    at = stage.start
    while (at := at + dice.expovariate(0.6)) < stage.end:
        stage.send(at, client, stage.site.hit(dice, "prices", page=dice.randint(10, 28)))


PROGRAMS: dict[str, Play] = {
    play.__name__: play
    for play in (
        googlebot, bingbot, seo, archiver, audit, preview, uptime, health, synthetic, feed_reader, feed_service,
        podcast, webhook, integration_slow, integration_fast, integration_batch, key_web, key_expired, ci, developer,
        bulk_reader, aggregator, meta_search,
    )
}
