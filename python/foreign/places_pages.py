"""Sites made of pages: a shop, a newspaper, a forum, a bank's portal, a wiki, forms of an authority."""

from __future__ import annotations

from .sites import Route, Site

CRAWLED = {"googlebot": 3, "bingbot": 2, "seo": 2, "preview": 10, "uptime": 3, "archiver": 1, "audit": 1}
"""Programs that come to every public site of pages."""
FED = {"feed_reader": 22, "feed_service": 3}
READ = {"reader": 110, "tabs": 12, "private": 16, "in_app": 14, "office": 22, "textual": 2, "screen_reader": 2}

SHOP = Site(
    name="shop",
    host="www.lindner-outdoor.example",
    hour=17,
    items=3800,
    first=20417,
    routes={
        "home": Route("GET", "/", 52000, 110),
        "list": Route("GET", "/c/{cat}?p={page}", 71000, 180),
        "item": Route("GET", "/p/{slug}-{id}", 58000, 140),
        "search": Route("GET", "/search?q={q}", 64000, 320),
        "suggest": Route("GET", "/search/suggest?term={q}", 1900, 45),
        "stock": Route("GET", "/p/{id}/stock.json", 180, 25),
        "add": Route("POST", "/cart/add", 0, 95, 302, 74),
        "cart": Route("GET", "/cart", 36000, 130),
        "coupon": Route("POST", "/cart/coupon", 420, 110, 200, 38, 422, 96),
        "checkout": Route("GET", "/checkout", 44000, 210),
        "pay": Route("POST", "/checkout/payment", 0, 1450, 302, 410, 200, 45200),
        "paid": Route("GET", "/checkout/success", 31000, 120),
        "login_page": Route("GET", "/account/login", 29000, 70),
        "login": Route("POST", "/account/login", 0, 260, 302, 118, 200, 29600),
        "signup_page": Route("GET", "/account/register", 31000, 75),
        "signup": Route("POST", "/account/register", 0, 310, 302, 286, 200, 31900),
        "reset": Route("POST", "/account/password", 28000, 340, 200, 62),
        "account": Route("GET", "/account/orders", 34000, 150),
        "own_order": Route("GET", "/account/orders/{id}", 38000, 160),
        "feed": Route("GET", "/feeds/products.xml", 1900000, 900),
        "webhook": Route("POST", "/payments/notify", 20, 60, 200, 1850, 400, 48),
    },
    walk={
        "home": {"list": 6, "search": 3, "item": 3},
        "list": {"item": 8, "list": 4, "search": 1},
        "item": {"item": 3, "list": 4, "add": 2, "search": 1, "home": 1},
        "search": {"item": 7, "search": 3},
        "cart": {"checkout": 2, "item": 2, "list": 1},
        "checkout": {"cart": 1, "home": 1},
        "account": {"own_order": 3, "home": 1},
        "own_order": {"account": 1, "item": 1},
    },
    assets=tuple(
        "/static/css/theme.4f1c09.css /static/css/print.a1.css /static/js/vendor.77ab12.js /static/js/shop.c90e1f.js "
        "/static/js/consent.2.js /static/fonts/inter-400.woff2 /static/fonts/inter-700.woff2 /static/img/logo.svg "
        "/static/img/payment-icons.svg /favicon.ico".split()
    ),
    images={"home": (12, "/media/teaser/{place}.webp"), "list": (18, "/media/thumb/{any}.webp"),
            "item": (6, "/media/p/{id}-{place}.webp"), "search": (12, "/media/thumb/{any}.webp")},
    calls={"item": ("stock",)},
    private=("/account/orders",),
    refusal=(302, 0),
    cast=CRAWLED | READ | {
        "typer": 12, "buyer": 14, "login_typo": 6, "forgotten": 4, "manager": 5, "reloader": 2, "researcher": 2,
        "webhook": 1, "feed_service": 2, "synthetic": 1, "health": 1,
    },
    attacks=(
        "flood-bust", "flood-mixed", "scan-noisy", "scan-distributed", "config-probing", "scrape-catalog",
        "scrape-slow", "scrape-headless", "scrape-distributed", "llm-crawler", "stuffing-fast",
        "stuffing-distributed", "stuffing-page-first", "reset-bombing", "enumerate-signup", "fake-accounts",
        "coupons", "carding", "search-scraping", "webhook-replay",
    ),
)

NEWS = Site(
    name="news",
    host="www.elbkurier.example",
    hour=6,
    items=9000,
    first=2250031,
    routes={
        "home": Route("GET", "/", 142000, 40),
        "list": Route("GET", "/{cat}/?page={page}", 96000, 55),
        "item": Route("GET", "/2025/03/{slug}-{id}.html", 88000, 48),
        "search": Route("GET", "/suche?q={q}&page={page}", 54000, 420),
        "more": Route("GET", "/api/stream?section={cat}&offset={page}0", 21000, 70),
        "comments": Route("GET", "/api/comments?article={id}", 14000, 60),
        "comment": Route("POST", "/api/comments", 260, 130, 201, 640, 403, 90),
        "beacon": Route("POST", "/t/collect", 0, 6, 204, 310),
        "login_page": Route("GET", "/abo/login", 24000, 50),
        "login": Route("POST", "/abo/api/login", 540, 280, 200, 84, 403, 92),
        "reset": Route("POST", "/abo/api/forgot", 30, 260, 202, 44),
        "account": Route("GET", "/abo/konto", 31000, 120),
        "form": Route("POST", "/newsletter", 70, 150, 200, 52),
        "feed": Route("GET", "/feed.xml", 61000, 30),
        "podcast": Route("GET", "/podcast/morgenrunde.xml", 184000, 35),
        "episode": Route("GET", "/podcast/audio/folge-{page}.mp3", 2400000, 900, 206),
    },
    walk={
        "home": {"item": 9, "list": 3, "search": 1},
        "list": {"item": 8, "list": 2, "home": 1},
        "item": {"item": 5, "home": 4, "list": 2, "comments": 1},
        "search": {"item": 5, "search": 2},
        "account": {"home": 1},
    },
    calls={"item": ("beacon",), "home": ("beacon",)},
    private=("/abo/konto",),
    refusal=(302, 0),
    cast=CRAWLED | FED | READ | {
        "reader": 420, "scroller": 26, "in_app": 70, "podcast": 14, "login_typo": 6, "manager": 8, "commenter": 10,
        "researcher": 2, "reloader": 2, "crowd": 420,
    },
    crowd=True,
    attacks=(
        "flood-single", "flood-one", "flood-mixed", "scrape-naive", "scrape-rotating", "scrape-headless",
        "scrape-distributed", "llm-crawler", "scan-noisy", "config-probing", "stuffing-distributed",
        "spraying-slow", "comment-spam", "form-spam", "reset-bombing",
    ),
)

FORUM = Site(
    name="forum",
    host="forum.modellbahn-freunde.example",
    hour=19,
    items=61000,
    first=112,
    routes={
        "home": Route("GET", "/index.php", 38000, 90),
        "list": Route("GET", "/viewforum.php?f={f}&start={start}", 47000, 120),
        "item": Route("GET", "/viewtopic.php?t={id}", 62000, 150),
        "more": Route("GET", "/viewtopic.php?t={id}&start={start}", 62000, 150),
        "search": Route("GET", "/search.php?keywords={q}&sr=posts", 51000, 640),
        "profile": Route("GET", "/memberlist.php?mode=viewprofile&u={id}", 19000, 70),
        "print": Route("GET", "/viewtopic.php?t={id}&view=print", 30000, 110),
        "login_page": Route("GET", "/ucp.php?mode=login", 14000, 45),
        "login": Route("POST", "/ucp.php?mode=login", 0, 190, 302, 140, 200, 14300),
        "signup_page": Route("GET", "/ucp.php?mode=register", 17000, 50),
        "signup": Route("POST", "/ucp.php?mode=register", 12000, 260, 200, 340, 200, 17900),
        "reset": Route("POST", "/ucp.php?mode=sendpassword", 11000, 280, 200, 78),
        "comment_page": Route("GET", "/posting.php?mode=reply&t={id}", 33000, 95),
        "comment": Route("POST", "/posting.php?mode=reply&t={id}", 0, 240, 302, 1300, 200, 33500),
        "feed": Route("GET", "/feed.php?mode=topics", 42000, 110),
    },
    walk={
        "home": {"list": 7, "item": 4, "search": 1},
        "list": {"item": 9, "list": 3, "home": 1},
        "item": {"item": 4, "list": 4, "more": 2, "profile": 1, "home": 1},
        "search": {"item": 6, "search": 2},
        "profile": {"item": 1, "home": 1},
        "login_page": {"home": 1},
    },
    assets=tuple(
        "/assets/javascript/jquery-3.7.1.min.js?v=42 /styles/prosilver/theme/stylesheet.css?v=42 "
        "/styles/prosilver/template/forum_fn.js?v=42 /assets/css/font-awesome.min.css?v=42 "
        "/assets/fonts/fontawesome-webfont.woff2 /styles/prosilver/theme/images/site_logo.svg".split()
    ),
    images={"item": (5, "/download/file.php?avatar={any}.jpg")},
    cast=CRAWLED | FED | READ | {
        "login_typo": 8, "forgotten": 3, "manager": 14, "commenter": 12, "researcher": 4, "feed_reader": 9,
    },
    attacks=(
        "flood-bust", "flood-one", "scan-noisy", "scan-slow", "dirbrute", "scrape-naive", "scrape-catalog",
        "scrape-slow", "scrape-rotating", "llm-crawler", "guessing-slow", "stuffing-fast", "spraying-slow",
        "fake-accounts", "comment-spam", "search-scraping",
    ),
)

BANK = Site(
    name="bank",
    host="banking.sparverein-nord.example",
    hour=8,
    items=26000,
    first=40210077,
    routes={
        "home": Route("GET", "/", 18000, 40),
        "login_page": Route("GET", "/login", 12000, 35),
        "login": Route("POST", "/login/authenticate", 0, 420, 302, 102, 302, 0),
        "login_failed": Route("GET", "/login?error=1", 12400, 35),
        "otp_page": Route("GET", "/login/code", 9000, 40),
        "otp": Route("POST", "/login/verify-code", 0, 210, 302, 34, 302, 0),
        "reset": Route("POST", "/login/forgotten", 0, 380, 302, 58),
        "account": Route("GET", "/accounts", 26000, 260),
        "item": Route("GET", "/accounts/{id}/transactions?page={page}", 39000, 380),
        "own_details": Route("GET", "/accounts/{id}", 21000, 190),
        "document": Route("GET", "/documents/{id}.pdf", 140000, 520),
        "export": Route("GET", "/accounts/{id}/transactions.csv?from=2020-01-01", 380000, 3900),
        "transfer_page": Route("GET", "/transfers/new", 23000, 120),
        "transfer": Route("POST", "/transfers", 0, 610, 302, 330),
        "keepalive": Route("POST", "/session/keepalive", 16, 9, 200, 2),
        "form": Route("POST", "/contact", 8000, 180, 200, 700),
    },
    walk={
        "home": {"login_page": 1},
        "account": {"item": 6, "own_details": 2, "transfer_page": 2, "document": 2},
        "item": {"item": 3, "account": 3, "document": 1},
        "own_details": {"item": 2, "account": 1},
        "document": {"account": 1},
        "transfer_page": {"transfer": 3, "account": 1},
        "login_page": {"account": 1},
    },
    assets=tuple(
        "/r/8812/app.css /r/8812/app.js /r/8812/forms.js /r/8812/bank-regular.woff2 /r/8812/logo.svg "
        "/r/8812/sprite.svg".split()
    ),
    poll=("keepalive", 60.0),
    missing=(302, 0, 5.0),
    gone=403,
    private=("/accounts", "/documents", "/transfers", "/session"),
    refusal=(302, 0),
    cast={
        "member": 130, "office_member": 26, "login_typo": 16, "expired_tab": 3, "forgotten": 6, "manager": 20,
        "exporter": 2, "aggregator": 3, "uptime": 4, "health": 1, "screen_reader": 3, "synthetic": 2, "googlebot": 1,
    },
    attacks=(
        "flood-one", "scan-noisy", "scan-slow", "config-probing", "dirbrute", "guessing-one", "guessing-slow",
        "stuffing-fast", "stuffing-distributed", "stuffing-page-first", "spraying-slow", "otp-guessing",
        "reset-bombing", "ids-sequential", "ids-random", "exports",
    ),
)

WIKI = Site(
    name="wiki",
    host="wiki.geschichte.example",
    hour=13,
    items=48000,
    first=1,
    routes={
        "home": Route("GET", "/wiki/Main_Page", 41000, 60),
        "item": Route("GET", "/wiki/{slug}_{id}", 67000, 90),
        "list": Route("GET", "/wiki/Category:{cat}?pagefrom={page}", 28000, 160),
        "search": Route("GET", "/w/index.php?search={q}&title=Special:Search", 33000, 380),
        "suggest": Route("GET", "/w/api.php?action=opensearch&format=json&search={q}&limit=10", 1100, 55),
        "history": Route("GET", "/w/index.php?title={slug}_{id}&action=history", 47000, 240),
        "diff": Route("GET", "/w/index.php?title={slug}_{id}&diff=prev&oldid={n}", 52000, 620),
        "comment_page": Route("GET", "/w/index.php?title={slug}_{id}&action=edit", 39000, 180),
        "comment": Route("POST", "/w/index.php?title={slug}_{id}&action=submit", 0, 900, 302, 9500, 200, 41000),
        "login_page": Route("GET", "/w/index.php?title=Special:UserLogin", 17000, 80),
        "login": Route("POST", "/w/index.php?title=Special:UserLogin", 0, 310, 302, 190, 200, 17400),
        "signup_page": Route("GET", "/w/index.php?title=Special:CreateAccount", 19000, 80),
        "signup": Route("POST", "/w/index.php?title=Special:CreateAccount", 0, 380, 302, 260, 200, 19600),
        "feed": Route("GET", "/w/api.php?action=feedrecentchanges&feedformat=atom", 36000, 300),
        "api": Route("GET", "/w/api.php?action=query&format=json&prop=extracts&pageids={id}", 5200, 85),
    },
    walk={
        "home": {"item": 7, "search": 3, "list": 2},
        "item": {"item": 9, "search": 2, "list": 1, "history": 1},
        "list": {"item": 6, "list": 1},
        "search": {"item": 7, "search": 2},
        "history": {"diff": 3, "item": 2},
        "diff": {"diff": 2, "item": 2, "history": 1},
    },
    assets=tuple(
        "/w/load.php?lang=de&modules=site.styles&only=styles&skin=vector-2022 "
        "/w/load.php?lang=de&modules=startup&only=scripts&raw=1&skin=vector-2022 "
        "/w/load.php?lang=de&modules=jquery%7Cmediawiki.base&skin=vector-2022&version=1xk9f "
        "/w/skins/Vector/resources/skins.vector.styles/images/search.svg /static/images/project-logo.svg".split()
    ),
    images={"item": (4, "/images/thumb/{id}_{place}.jpg")},
    cast=CRAWLED | FED | READ | {
        "typer": 24, "researcher": 8, "login_typo": 4, "commenter": 8, "developer": 3, "bulk_reader": 2, "seo": 3,
    },
    attacks=(
        "flood-bust", "flood-mixed", "scan-noisy", "scan-distributed", "scrape-naive", "scrape-catalog",
        "scrape-distributed", "llm-crawler", "guessing-one", "stuffing-distributed", "fake-accounts",
        "comment-spam", "search-scraping",
    ),
)

FORMS = Site(
    name="forms",
    host="service.landkreis-heide.example",
    hour=9,
    items=52000,
    ids="ref",
    routes={
        "home": Route("GET", "/", 33000, 70),
        "list": Route("GET", "/leistungen/{cat}", 26000, 80),
        "form_page": Route("GET", "/antrag/{cat}/schritt/{page}", 31000, 160),
        "step": Route("POST", "/antrag/{cat}/schritt/{page}", 0, 240, 302, 1400, 200, 32000),
        "upload": Route("POST", "/antrag/anlagen", 140, 1900, 200, 2100000),
        "form": Route("POST", "/kontakt", 9000, 300, 200, 900),
        "item": Route("GET", "/register/eintrag/{id}", 24000, 210),
        "search": Route("GET", "/register/suche?name={q}&seite={page}", 29000, 760),
        "status": Route("GET", "/antrag/status?az={id}", 17000, 190),
        "login_page": Route("GET", "/anmelden", 15000, 60),
        "login": Route("POST", "/anmelden", 0, 520, 302, 120, 200, 15400),
        "reset": Route("POST", "/anmelden/vergessen", 9000, 410, 200, 70),
        "account": Route("GET", "/postfach", 22000, 230),
        "document": Route("GET", "/postfach/bescheid/{id}.pdf", 210000, 480),
    },
    walk={
        "home": {"list": 6, "search": 1, "form_page": 2},
        "list": {"form_page": 4, "list": 2, "home": 1},
        "form_page": {"list": 1, "home": 1},
        "search": {"item": 5, "search": 2},
        "item": {"search": 2, "item": 1},
        "account": {"document": 3, "status": 2, "home": 1},
        "document": {"account": 1},
        "status": {"account": 1, "home": 1},
    },
    assets=tuple(
        "/themes/kreis/css/main.css?20250301 /themes/kreis/js/main.js?20250301 /themes/kreis/js/forms.js?20250301 "
        "/themes/kreis/fonts/source-sans.woff2 /themes/kreis/wappen.svg /favicon.ico".split()
    ),
    images={"home": (5, "/sites/default/files/teaser-{place}.jpg")},
    private=("/postfach",),
    refusal=(302, 0),
    cast=CRAWLED | READ | {
        "reader": 70, "applicant": 34, "login_typo": 10, "forgotten": 6, "manager": 4, "screen_reader": 4,
        "researcher": 3, "office": 30, "reloader": 2,
    },
    attacks=(
        "flood-single", "flood-one", "scan-noisy", "scan-distributed", "dirbrute", "config-probing",
        "guessing-slow", "stuffing-page-first", "reset-bombing", "ids-sequential", "ids-random", "scrape-slow",
        "search-scraping", "form-spam",
    ),
)
