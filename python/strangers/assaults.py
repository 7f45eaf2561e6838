"""Attacks on web sites that several of them suffer; each is played between two times."""

from __future__ import annotations

from typing import Any, Callable

from . import agents
from .addresses import HOMES, PHONES, SERVERS
from .agents import CURL_HEADERS, FORM_HEADERS, NAVIGATION_HEADERS, SCRIPT_HEADERS, windows_chrome
from .web import WORDS, WebSite

PathOf = Callable[[Any, int], str]
"""Which path the request of a number goes to."""

PROXIES = HOMES + PHONES
BYTESPIDER = (
    "Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 "
    "(compatible; Bytespider; spider-feedback@bytedance.com)"
)
WEAK_SPOTS = (
    "/.env", "/.git/config", "/wp-login.php", "/phpmyadmin/", "/admin/config.php", "/backup.zip", "/db.sql",
    "/.aws/credentials", "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", "/cgi-bin/luci",
    "/actuator/env", "/solr/admin/info", "/owa/auth/logon.aspx", "/api/.env", "/config.json",
    "/server-status", "/old/", "/test.php", "/info.php", "/shell.php",
    "/wp-content/plugins/wp-file-manager/readme.txt", "/?id=1%27%20OR%201=1--",
    "/index.php?page=../../../../etc/passwd",
)


def flood_one_source(site: WebSite, begin: float, end: float, path: str = "/", rate: float = 40) -> None:
    """One source asks for one page as fast as it can for four minutes."""
    client = site.attacker(agent=agents.GO_2)
    at = begin
    while at < begin + 240:
        client.send(at, "GET", path, site.draw({200: 0.9, 503: 0.1}))
        at += site.gap(1 / rate)


def flood_five_sources(site: WebSite, begin: float, end: float) -> None:
    """Five sources fetch nine pages a second each for five minutes."""
    for _ in range(5):
        client = site.attacker(agent=agents.web_browser(site.dice))
        at = begin
        while at < begin + 300:
            client.send(at, "GET", site.some_path(), headers=CURL_HEADERS)
            at += site.gap(1 / 9)


def flood_slow_sources(site: WebSite, begin: float, end: float, path: str) -> None:
    """Four hundred homes ask for an expensive page each seven seconds."""
    for _ in range(400):
        client = site.attacker(site.address(PROXIES))
        at = begin + site.between(0, 60)
        while at < begin + 600:
            query = f"{path}{'&' if '?' in path else '?'}_={site.whole(0, 10**9)}"
            status = site.draw({200: 0.85, 504: 0.15})
            client.send(at, "GET", query, status, took=site.between(400, 4000), headers=NAVIGATION_HEADERS)
            at += site.gap(7)


def scan_noisily(site: WebSite, begin: float, end: float) -> None:
    """A scanner that does not hide, twelve requests a second."""
    client = site.attacker(agent="Mozilla/5.00 (Nikto/2.5.0)")
    at = begin
    for number in range(2500):
        if site.chance(0.5):
            path = site.pick(WEAK_SPOTS)
            if number > len(WEAK_SPOTS) and site.chance(0.3):
                path += f"?{number}"
        else:
            path = f"/{site.word()}{site.pick(('.bak', '.php', '.old', '/', '.zip'))}"
        client.send(at, "GET", path, site.draw({404: 0.88, 403: 0.07, 200: 0.03, 400: 0.02}))
        at += site.gap(1 / 12)


def scan_slowly(site: WebSite, begin: float, end: float) -> None:
    """A scanner that looks like a browser at home and takes its time."""
    client = site.attacker(site.address(HOMES), windows_chrome(131))
    at = begin
    for path in WEAK_SPOTS * 5:
        client.send(at, "GET", path, site.draw({404: 0.93, 403: 0.07}), headers=NAVIGATION_HEADERS)
        at += site.between(5, 12)


def scrape_in_order(
    site: WebSite, begin: float, end: float, path: PathOf, count: int = 1500, agent: str = agents.PYTHON,
    every: float = 0.35,
) -> None:
    """One source fetches one thing after the other."""
    client = site.attacker(agent=agent)
    at = begin
    for number in range(count):
        client.send(at, "GET", path(site, number), site.draw({200: 0.96, 404: 0.04}))
        at += site.about(every, 0.5)


def scrape_with_browser(site: WebSite, begin: float, end: float, path: PathOf) -> None:
    """A real browser that loads everything, never goes back and never pauses."""
    client = site.attacker(agent=windows_chrome(131))
    at, before = client.page(begin, "/"), "/"
    for number in range(420):
        here = path(site, number)
        at, before = client.page(at, here, before) + site.between(1.5, 3.5), here
        if at > end:
            break


def scrape_from_many(site: WebSite, begin: float, end: float, path: PathOf) -> None:
    """Two hundred addresses share the list of everything."""
    clients = [site.attacker(site.address(HOMES + SERVERS[:6])) for _ in range(200)]
    count = 3200
    for number in range(count):
        at = begin + (end - begin) * number / count + site.between(-1, 1)
        status = site.draw({200: 0.97, 404: 0.03})
        site.pick(clients).send(at, "GET", path(site, number), status, headers=NAVIGATION_HEADERS)


def scrape_through_proxies(site: WebSite, begin: float, end: float, path: PathOf) -> None:
    """A crawler for language models behind 1500 homes, a few deep pages from each."""
    clients = [site.attacker(site.address(PROXIES)) for _ in range(1500)]
    for number in range(9000):
        at, took = site.between(begin, end), site.between(200, 6000)
        status = site.draw({200: 0.9, 404: 0.04, 504: 0.06})
        site.pick(clients).send(at, "GET", path(site, number), status, took=took, headers=NAVIGATION_HEADERS)


def declared_bot(site: WebSite, begin: float, end: float, path: PathOf, rate: float = 3) -> None:
    """A crawler that says its name and takes three pages a second."""
    addresses = [f"47.128.{site.whole(20, 59)}.{site.whole(1, 249)}" for _ in range(6)]
    clients = [site.attacker(address, BYTESPIDER) for address in addresses]
    at = begin
    while at < end:
        status = site.draw({200: 0.95, 404: 0.05})
        site.pick(clients).send(at, "GET", path(site, site.whole(0, 10**6)), status)
        at += site.gap(1 / rate)


def stuffing_fast(
    site: WebSite, begin: float, end: float, path: str, failed: int = 401, rate: float = 6, count: int = 1500
) -> None:
    """One source tries stolen passwords with a library."""
    client = site.attacker(agent=agents.PYTHON)
    at = begin
    for _ in range(count):
        client.send(at, "POST", path, 302 if site.chance(0.006) else failed)
        at += site.gap(1 / rate)


def stuffing_distributed(site: WebSite, begin: float, end: float, path: str, failed: int = 401) -> None:
    """Nine hundred homes try one to three stolen passwords each."""
    for _ in range(900):
        client = site.attacker(site.address(PROXIES))
        at = site.between(begin, end)
        for _ in range(site.pick((1, 1, 2, 3))):
            status = 302 if site.chance(0.01) else failed
            client.send(at, "POST", path, status, referer=site.base + path, headers=FORM_HEADERS)
            at += site.between(1, 9)


def stuffing_with_page(site: WebSite, begin: float, end: float, path: str) -> None:
    """Six sources load the form each time, and failures answer 200."""
    for number in range(6):
        client = site.attacker(agent=windows_chrome(131) if number % 2 == 0 else agents.mac_chrome(131))
        at = begin + site.between(0, 5)
        for _ in range(70):
            client.send(at, "GET", path, headers=NAVIGATION_HEADERS)
            at += site.between(0.8, 1.6)
            status, size = 302 if site.chance(0.01) else 200, site.whole(8000, 8099)
            client.send(at, "POST", path, status, size, referer=site.base + path, headers=FORM_HEADERS)
            at += site.between(3, 6)


def brute_force(site: WebSite, begin: float, end: float, path: str, failed: int = 401) -> None:
    """One home tries passwords of one account, one each three seconds."""
    client = site.attacker(site.address(HOMES), windows_chrome(133))
    at = begin
    for _ in range(300):
        client.send(at, "POST", path, failed, referer=site.base + path, headers=FORM_HEADERS)
        at += site.between(2, 4.5)


def brute_force_slow(site: WebSite, begin: float, end: float, path: str, failed: int = 401) -> None:
    """The same at four a minute."""
    client = site.attacker(site.address(HOMES), windows_chrome(133))
    at = begin
    while at < end:
        client.send(at, "POST", path, failed, referer=site.base + path, headers=FORM_HEADERS)
        at += site.between(12, 20)


def enumerate_ids(
    site: WebSite, begin: float, end: float, path: PathOf, found: float = 0.03, every: float = 0.5,
    count: int = 1500,
) -> None:
    """One source tries identifiers, of which few exist."""
    client = site.attacker(agent=agents.PYTHON)
    at = begin
    for number in range(count):
        client.send(at, "GET", path(site, number), 200 if site.chance(found) else 404)
        at += site.about(every, 0.5)


def enumerate_found_ids(site: WebSite, begin: float, end: float, path: PathOf) -> None:
    """A browser at home reads what belongs to others, and most of it is given."""
    client = site.attacker(site.address(HOMES), windows_chrome(131))
    at = begin
    for number in range(600):
        status = site.draw({200: 0.85, 403: 0.15})
        client.send(at, "GET", path(site, number), status, referer=site.base + "/", headers=SCRIPT_HEADERS)
        at += site.between(0.8, 2.2)


def spam(
    site: WebSite, begin: float, end: float, page: Callable[[Any], str],
    form: Callable[[str], str], done: int = 201, count: int = 25,
) -> None:
    """Some sources open a page, post to it a second later, and go on to the next."""
    for _ in range(count):
        client = site.attacker()
        at = begin + site.between(0, 60)
        for _ in range(14):
            path = page(site)
            client.send(at, "GET", path, headers=NAVIGATION_HEADERS)
            at += site.between(0.8, 2.5)
            status = site.draw({done: 0.75, 422: 0.12, 429: 0.03, 403: 0.1})
            client.send(at, "POST", form(path), status, referer=site.base + path, headers=FORM_HEADERS)
            at += site.between(15, 60)


def fake_signups(site: WebSite, begin: float, end: float, path: str, done: int = 302) -> None:
    """Eight sources register accounts, two a minute each."""
    for number in range(8):
        client = site.attacker(agent=windows_chrome(128 + number % 5))
        at = begin + site.between(0, 30)
        while at < end:
            client.send(at, "GET", path, headers=NAVIGATION_HEADERS)
            at += site.between(1.5, 4)
            status = site.draw({done: 0.85, 422: 0.15})
            client.send(at, "POST", path, status, referer=site.base + path, headers=FORM_HEADERS)
            at += site.between(20, 45)


def guess_codes(
    site: WebSite, begin: float, end: float, path: str, page: str, failed: int = 200
) -> None:
    """A browser on a rented machine tries codes, one each two or three seconds."""
    client = site.attacker(agent=agents.mac_chrome(132))
    at = client.page(begin, page)
    for _ in range(400):
        status, size = failed if site.chance(0.985) else 200, site.whole(170, 189)
        client.send(at, "POST", path, status, size, referer=site.base + page, headers=SCRIPT_HEADERS)
        at += site.about(2.5, 0.4)


def carding(
    site: WebSite, begin: float, end: float, product: str, add: str, checkout: str, page: str,
    done: int = 200, failed: int = 200,
) -> None:
    """Four sources put the cheapest thing into a basket and try card after card."""
    for _ in range(4):
        client = site.attacker(agent=windows_chrome(131))
        at = begin + site.between(0, 20)
        client.page(at, product)
        at += 4
        if add:
            client.send(at, "POST", add, referer=site.base + product, headers=SCRIPT_HEADERS)
            at += 2
        client.page(at, page, product)
        at += 5
        while at < end:
            status = done if site.chance(0.06) else failed
            size = site.whole(150, 259)
            took = site.between(900, 2600)
            client.send(at, "POST", checkout, status, size, took, site.base + page, SCRIPT_HEADERS)
            at += site.between(7, 15)


def hoarding(
    site: WebSite, begin: float, end: float, page: Callable[[Any], str], path: str, done: int = 200
) -> None:
    """Thirty sources take what there is and do not buy it."""
    for _ in range(30):
        client = site.attacker(site.address(HOMES + SERVERS[:4]))
        at = begin + site.between(0, 60)
        while at < end:
            here = page(site)
            client.send(at, "GET", here, headers=NAVIGATION_HEADERS)
            at += site.between(0.7, 2)
            status = site.draw({done: 0.9, 409: 0.1})
            client.send(at, "POST", path, status, referer=site.base + here, headers=SCRIPT_HEADERS)
            at += site.between(20, 50)


def bomb_resets(site: WebSite, begin: float, end: float, path: str) -> None:
    """One source has mails sent to people who forgot nothing."""
    client = site.attacker(agent=windows_chrome(130))
    at = begin
    for _ in range(400):
        client.send(at, "POST", path, 302, referer=site.base + path, headers=FORM_HEADERS)
        at += site.between(1, 3.5)


def scrape_search(site: WebSite, begin: float, end: float, path: Callable[[str, int], str]) -> None:
    """Three sources page through the results of many searches."""
    for number in range(3):
        client = site.attacker(agent=windows_chrome(131) if number % 2 == 0 else agents.mac_chrome(131))
        at = begin
        while at < end:
            words = f"{site.pick(WORDS)}+{site.pick(WORDS)}"
            for page in range(1, site.whole(2, 24)):
                referer = site.base + path(words, page - 1) if page > 1 else ""
                client.send(at, "GET", path(words, page), referer=referer, headers=NAVIGATION_HEADERS)
                at += site.between(0.7, 1.6)
