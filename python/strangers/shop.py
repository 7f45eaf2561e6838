"""A farm's shop on WordPress: baskets, coupons, an ERP, a back-up, price portals."""

from __future__ import annotations

from functools import partial

from . import agents, assaults
from .addresses import CLOUDS, HOMES, PHONES, SERVERS
from .public import PublicSite
from .web import Asset, Client, WebSite, letters, slug
from .world import END, ordinary

CATEGORIES = ("kaese", "wurst", "honig", "wein", "geschenke", "brot")
ADD = "/?wc-ajax=add_to_cart"
ADMIN_AJAX = "/wp-admin/admin-ajax.php"
STOREBOT = (
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Storebot-Google/1.0; "
    "+https://support.google.com/merchants) Chrome/133.0.0.0 Safari/537.36"
)
TABLET = (
    "Mozilla/5.0 (Linux; Android 13; SM-T505) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 "
    "Safari/537.36"
)
OLD_FIREFOX = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:62.0) Gecko/20100101 Firefox/62.0"


def xmlrpc_brute_force(site: WebSite, begin: float, end: float) -> None:
    """Three sources try many passwords in each call, which always answers 200."""
    for _ in range(3):
        client = site.attacker(agent=OLD_FIREFOX)
        at = begin
        for _ in range(350):
            client.send(at, "POST", "/xmlrpc.php", size=site.whole(400, 419))
            at += site.between(0.8, 2.5)


def pingback_flood(site: WebSite, begin: float, end: float) -> None:
    """Two hundred and fifty blogs are made to check a link to the shop."""
    for number in range(250):
        version = site.pick(("4.9", "5.2", "6.1"))
        agent = f"WordPress/{version}; http://{slug(number, 2)}.com; verifying pingback from 45.9.148.3"
        client = site.attacker(agent=agent)
        at = begin + site.between(0, 30)
        for _ in range(site.whole(10, 39)):
            client.send(at, "GET", f"/?{site.whole(0, 10**7)}={site.whole(0, 10**7)}")
            at += site.gap(10)


class Shop(PublicSite):
    """The shop."""

    name = "shop"
    base = "https://shop.hofladen-lindner.de"

    def product(self, number: int | None = None) -> str:
        """A product; a few are looked at most."""
        number = self.rank(900) if number is None else number
        return f"/produkt/{slug(number, 2)}-{number}/"

    def category(self) -> str:
        """A list of products."""
        return f"/produkt-kategorie/{self.pick(CATEGORIES)}/" + (
            f"page/{self.whole(2, 8)}/" if self.chance(0.4) else ""
        )

    def some_path(self) -> str:
        return self.draw({
            self.product(self.whole(0, 899)): 0.65, self.category(): 0.2,
            f"/produkt-schlagwort/{self.word()}/": 0.1, f"/blog/{slug(self.whole(0, 79))}/": 0.05,
        })

    def assets(self, path: str) -> list[Asset]:
        found: list[Asset] = [
            "/wp-content/themes/storefront/style.css?ver=4.6.0",
            "/wp-content/plugins/woocommerce/assets/css/woocommerce.css?ver=9.6.2",
            "/wp-content/plugins/woocommerce/assets/js/frontend/add-to-cart.min.js?ver=9.6.2",
            "/wp-includes/js/jquery/jquery.min.js?ver=3.7.1",
            "/wp-content/plugins/woocommerce/assets/js/js-cookie/js.cookie.min.js?ver=2.1.4",
            "/wp-content/themes/storefront/assets/fonts/fa-solid-900.woff2",
            "/wp-content/uploads/2023/04/logo.png", "/favicon.ico",
            # A plug-in that was removed but not everywhere.
            ("/wp-content/plugins/cookie-law-info/legacy/public/css/cookie-law-info-gdpr.css", 404),
        ]
        number, uploads = letters(path), "/wp-content/uploads/2024"
        if "kategorie" in path or path == "/" or path.startswith("/?s="):
            found += [f"{uploads}/{(number + place) % 12 + 1:02d}/p{(number * 3 + place) % 900}-324x324.jpg"
                      for place in range(16)]
        elif path.startswith("/produkt/"):
            found += [
                f"{uploads}/{number % 12 + 1:02d}/p{number % 900}-{view}-600x600.jpg" for view in range(5)
            ]
            found += [f"{uploads}/05/p{(number + place) % 900}-324x324.jpg" for place in range(4)]
        return found

    def fragments(self, client: Client, at: float, path: str) -> None:
        """The basket in the corner of each page is asked for."""
        client.call(at, "/?wc-ajax=get_refreshed_fragments", path, "POST")

    def visit(self, client: Client, at: float, buys: bool = False) -> None:
        """Somebody looks at products and perhaps buys some."""
        before, path = self.engine(), self.draw({"/": 0.3, self.product(): 0.45, self.category(): 0.25})
        basket, seen = 0, []
        for _ in range(1 + int(self.gap(6))):
            at = client.page(at, path, before)
            if self.chance(0.7):
                self.fragments(client, at, path)
            if path.startswith("/produkt/") and self.chance(0.18):
                at += self.between(5, 20)
                client.call(at, ADD, path, "POST")
                basket += 1
            seen.append(path)
            at += self.thinking(22)
            before = path
            if self.chance(0.06):
                word = self.word()
                query = f"{ADMIN_AJAX}?action=flatsome_ajax_search_products&query="
                for at, typed in self.typed(at, word):
                    client.call(at, query + typed, path)
                path = f"/?s={word}&post_type=product"
            elif len(seen) > 1 and self.chance(0.3):
                path = seen[-2]
            else:
                path = self.draw({self.product(): 0.65, self.category(): 0.3, "/": 0.05})
        if basket and (buys or self.chance(0.55)):
            self._buy(client, at, before)

    def _buy(self, client: Client, at: float, before: str) -> None:
        """From the basket to the order, with a coupon now and then and a mistake sometimes."""
        at = client.page(at, "/warenkorb/", before) + self.thinking(15)
        if self.chance(0.25):
            for _ in range(self.pick((1, 1, 2, 3))):
                client.call(at, "/?wc-ajax=apply_coupon", "/warenkorb/", "POST")
                at += self.between(8, 25)
        at = client.page(at, "/kasse/", "/warenkorb/")
        for _ in range(self.whole(2, 5)):
            at += self.between(4, 20)
            client.call(at, "/?wc-ajax=update_order_review", "/kasse/", "POST")
        for _ in range(self.draw({1: 0.85, 2: 0.1, 3: 0.05})):
            at += self.between(10, 40)
            client.call(at, "/?wc-ajax=checkout", "/kasse/", "POST", size=self.whole(140, 399))
        order, key = self.whole(52000, 52999), self.whole(0, 10**8)
        client.page(at + 2, f"/kasse/order-received/{order}/?key=wc_order_{key}", "/kasse/")

    @ordinary
    def visitors(self) -> None:
        """Customers at home, on the way, and behind shared addresses."""
        for at in self.arrivals(7, -600):
            self.visit(self.client("visitor", self.household()), at)
        for at in self.arrivals(4, -600):
            self.visit(self.client("visitor-mobile", self.address(PHONES)), at)
        for kind, people, pool in (("nat-office", 12, HOMES), ("nat-carrier", 70, PHONES)):
            address = self.address(pool)
            for _ in range(people):
                self.visit(self.client(kind, address, actor=kind), self.between(0, END))

    @ordinary
    def many_tabs(self) -> None:
        """Opens a dozen products at once."""
        for at in self.arrivals(0.12):
            client = self.client("many-tabs")
            at = client.page(at, self.category()) + 8
            for number in range(self.whole(8, 24)):
                path = self.product()
                loaded = client.page(at + number * self.between(0.4, 1.2), path, "/")
                self.fragments(client, loaded, path)

    @ordinary
    def price_portals(self) -> None:
        """Portals that fetch the list of products, check each, or read the shop all day."""
        fetcher = self.client("price-partner-feed", self.address(CLOUDS), "idealo-feed-fetcher/2.1")
        for number in range(4):
            fetcher.send(120 + number * 1200, "GET", "/feed/idealo.csv", size=2_400_000)
        agent = "Mozilla/5.0 (compatible; billiger.de-linkcheck/1.3; +https://www.billiger.de/bot)"
        checker = self.client("price-partner-check", self.address(CLOUDS), agent)
        at = 600.0
        for number in range(450):
            path = f"{self.product(number)}?utm_source=billiger"
            checker.send(at, "GET", path, self.draw({200: 0.97, 404: 0.03}))
            at += self.between(1, 2)
        merchant = self.client("merchant-bot", self.address(["66.249"]), STOREBOT)
        at = 50.0
        while at < END:
            merchant.send(at, "GET", self.product(self.whole(0, 899)))
            if self.chance(0.1):
                merchant.send(at + 2, "POST", ADD)
            at += self.gap(5)

    @ordinary
    def owners_programs(self) -> None:
        """The ERP, and a back-up of all pictures."""
        erp = self.client("erp-sync", self.address(HOMES), "WooCommerce API Client-PHP/3.1.0", "erp")
        at = 15.0
        while at < END:
            for page in range(1, 10):
                erp.send(at, "GET", f"/wp-json/wc/v3/orders?status=processing&page={page}&per_page=100")
                at += 0.6
            for _ in range(60):
                erp.send(at, "PUT", f"/wp-json/wc/v3/products/{self.whole(0, 899)}")
                at += self.between(0.15, 0.4)
            at += 600
        backup = self.client("backup-script", self.address(SERVERS), "Wget/1.21.3", "backup")
        at = 900.0
        for number in range(1400):
            path = f"/wp-content/uploads/2024/{number % 12 + 1:02d}/p{number % 900}-{number // 900}.jpg"
            backup.send(at, "GET", path)
            at += self.between(0.1, 0.35)

    @ordinary
    def owner(self) -> None:
        """The owner uploads pictures, edits in six tabs, and sells at the till."""
        photographer, page = self.client("upload-200-photos", user="lindner"), "/wp-admin/media-new.php"
        at = photographer.page(1500, page, "/wp-admin/upload.php")
        for _ in range(200):
            took = self.between(600, 2500)
            photographer.send(at, "POST", "/wp-admin/async-upload.php", 200, 700, took, self.base + page,
                              agents.SCRIPT_HEADERS)
            at += self.between(0.5, 1.8)
        editor = self.client("wp-admin-owner", user="lindner")
        for tab in range(6):
            page = f"/wp-admin/post.php?post={tab + 400}&action=edit"
            for at in self.every(15, editor.page(100 + tab * 20, page, "/wp-admin/") + 15, END + 15, 0):
                editor.call(at, ADMIN_AJAX, page, "POST")
        till = self.client("pos-tablet", agent=TABLET, user="kasse1")
        for at in self.every(10, 5, jitter=0):
            till.call(at, f"/wp-json/wc/v3/orders?after={int(at)}", "/kasse-pos/")

    @ordinary
    def wordpress(self) -> None:
        """WordPress calls itself, and is called by its maker."""
        cron = self.client("wp-cron-self", self.address(SERVERS), f"WordPress/6.7.2; {self.base}")
        at = 1.0
        while at < END:
            cron.send(at, "POST", f"/wp-cron.php?doing_wp_cron={self.start.timestamp() + at:.4f}")
            at += self.between(55, 70)
        jetpack = self.client("jetpack-xmlrpc", "192.0.101.226", "Jetpack by WordPress.com")
        at = 40.0
        while at < END:
            jetpack.send(at, "POST", "/xmlrpc.php?for=jetpack&token=ab")
            at += self.between(20, 90)

    @ordinary
    def login_mistakes(self) -> None:
        """Customers who mistype their password; the form answers 200."""
        page, reset = "/mein-konto/", "/mein-konto/lost-password/"
        for at in self.arrivals(0.6):
            client = self.client("login-mistakes")
            at = client.page(at, page, "/")
            for _ in range(self.whole(1, 4)):
                at = client.page(at + self.between(6, 25), page, page, 200, "POST")
            if self.chance(0.6):
                client.page(at + 15, page, page, 302, "POST")
                self.visit(client, at + 16)
            else:
                client.page(at + 15, reset, page)
                client.page(at + 35, reset, reset, 302, "POST")

    @ordinary
    def newsletter(self) -> None:
        """Many follow a link of a mail within minutes."""
        for at in self.arrivals(60, 1800, 2000):
            client = self.client("newsletter-crowd", self.address(HOMES, PHONES))
            loaded = client.page(at, "/aktion/osterkorb/?utm_source=newsletter")
            if self.chance(0.4):
                self.visit(client, loaded + 10, buys=True)

    @ordinary
    def firms(self) -> None:
        """A firm fills a large basket, and another asks what is left on its thirty gift cards."""
        page = "/produkt-kategorie/geschenke/"
        buyer = self.client("bulk-buyer")
        at = buyer.page(2500, page, "/")
        for _ in range(50):
            path = self.product()
            at = buyer.page(at, path, page) + self.between(2, 6)
            buyer.call(at, ADD, path, "POST")
            at += 2
        holder, page = self.client("giftcard-holder-30"), "/gutschein-guthaben/"
        at = holder.page(3000, page, "/")
        for number in range(30):
            at += self.between(9, 18)
            holder.call(at, "/?wc-ajax=giftcard_balance", page, "POST", 200 if number % 9 else 404)

    plan = [
        {
            "coupon-guessing": partial(
                assaults.guess_codes, path="/?wc-ajax=apply_coupon", page="/warenkorb/"
            ),
            "carding": partial(
                assaults.carding,
                product=f"/produkt/{slug(3, 2)}-3/",
                add=ADD,
                checkout="/?wc-ajax=checkout",
                page="/kasse/",
            ),
            "xmlrpc-bruteforce": xmlrpc_brute_force,
        },
        {
            "stuffing-page-200": partial(assaults.stuffing_with_page, path="/mein-konto/"),
            "hoarding": partial(assaults.hoarding, page=lambda site: site.product(), path=ADD),
            "xmlrpc-pingback-flood": pingback_flood,
        },
        {
            "giftcard-guessing": partial(
                assaults.guess_codes,
                path="/?wc-ajax=giftcard_balance",
                page="/gutschein-guthaben/",
                failed=404,
            ),
            "scrape-headless": partial(
                assaults.scrape_with_browser, path=lambda site, number: site.product(number)
            ),
            "stuffing-distributed": partial(assaults.stuffing_distributed, path="/mein-konto/", failed=200),
        },
        {
            "scrape-id-order": partial(
                assaults.scrape_in_order, path=lambda site, number: f"/?p={number + 100}", every=0.5
            ),
            "bruteforce-one-account": partial(assaults.brute_force, path="/wp-login.php", failed=200),
            "scrape-200-ips": partial(
                assaults.scrape_from_many, path=lambda site, number: site.product(number % 900)
            ),
        },
    ]
