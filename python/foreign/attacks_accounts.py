"""Attacks on accounts and money: passwords, codes, keys, vouchers, cards, reservations."""

from __future__ import annotations

from . import addresses, agents
from .attacks import attack, begin
from .people import Browser
from .sites import about, hexes
from .tape import Stage
from .telling import Client


def _try(stage: Stage, at: float, client: Client, role: str = "login", luck: float = 0.0, page: str = "") -> None:
    """One try that the site refuses, unless there is luck; then what a redirect asks for."""
    good = stage.dice.random() < luck
    hit = stage.site.hit(stage.dice, role, good=good)
    referer = stage.url(page) if page else ""
    status = stage.send(at, client, hit, referer)
    if role == "login" and status == 302 and not good and stage.site.has("login_failed"):
        # Most tools follow the redirect, because it is how they tell that they failed.
        stage.send(at + 0.15, client, stage.site.hit(stage.dice, "login_failed"), referer)


@attack("guessing-one", "one address, one account, 3-8 tries a second for four minutes")
def guessing_one(stage: Stage) -> None:
    dice = stage.dice
    agent = dice.choice(("Mozilla/5.0 (Hydra)", "python-requests/2.31.0", stage.guise(True)))
    client, rate = stage.attacker(agent), dice.uniform(3, 8)
    at = begin(stage)
    until = at + 240
    while (at := at + about(dice, 1 / rate, 0.3)) < until:
        _try(stage, at, client)


@attack("guessing-slow", "one address, one account, a try each 10-25 seconds to the end")
def guessing_slow(stage: Stage) -> None:
    dice = stage.dice
    client = stage.attacker(stage.guise(), stage.residential())
    at = stage.sometime(0.1, 0.2)
    page = stage.site.routes["login_page"].path if stage.site.has("login_page") else ""
    while (at := at + dice.uniform(10, 25)) < stage.end:
        _try(stage, at, client, page=page)


@attack("stuffing-fast", "3-8 rented machines, 1-4 tries a second each for five minutes")
def stuffing_fast(stage: Stage) -> None:
    dice = stage.dice
    first = begin(stage)
    for number, address in enumerate(addresses.neighbours(dice, dice.randint(3, 8))):
        client, rate = stage.attacker(stage.guise(), address, number), dice.uniform(1, 4)
        at = first + dice.uniform(0, 20)
        while (at := at + dice.expovariate(rate)) < first + 300:
            _try(stage, at, client, luck=0.008)


@attack("stuffing-distributed", "500-900 addresses with 1-5 tries each within 20 minutes, 1-2 a second over all")
def stuffing_distributed(stage: Stage) -> None:
    dice = stage.dice
    first = begin(stage) - stage.span * 0.1
    for number in range(dice.randint(500, 900)):
        client = stage.attacker("", stage.residential(), number)
        at = first + dice.uniform(0, 1200)
        for _ in range(dice.choices((1, 2, 3, 4, 5), (5, 4, 3, 2, 1))[0]):
            _try(stage, at, client._replace(agent=stage.guise()), luck=0.006)
            at += dice.uniform(2, 60)


@attack("stuffing-page-first", "150-300 addresses that open the page and try 2-6 times, over 20 minutes")
def stuffing_page_first(stage: Stage) -> None:
    dice = stage.dice
    first = begin(stage) - stage.span * 0.1
    for number in range(dice.randint(150, 300)):
        client = stage.attacker(stage.guise(), stage.residential(), number)
        browser = Browser(stage, client, first + dice.uniform(0, 1200), warm=False)
        # Half of the tools drive a browser, the others only fetch the page for its token.
        browser.loads = dice.random() < 0.5
        for _ in range(dice.randint(2, 6)):
            browser.open("login_page")
            browser.at += dice.uniform(0.4, 3)
            _try(stage, browser.at, client, luck=0.006, page=stage.site.routes["login_page"].path)
            browser.at += dice.uniform(2, 25)


@attack("spraying-slow", "4-10 addresses, one password for many accounts, a try each 30-70 seconds each to the end")
def spraying_slow(stage: Stage) -> None:
    dice = stage.dice
    for number in range(dice.randint(4, 10)):
        client = stage.attacker(stage.guise(), "" if dice.random() < 0.5 else stage.residential(), number)
        at = stage.sometime(0.05, 0.2)
        while (at := at + dice.uniform(30, 70)) < stage.end:
            _try(stage, at, client, luck=0.004)


@attack("otp-guessing", "1-3 addresses that know the password, 1-3 codes a second each for eight minutes")
def otp_guessing(stage: Stage) -> None:
    dice = stage.dice
    first = begin(stage)
    for number in range(dice.randint(1, 3)):
        client = stage.attacker(stage.guise(), "" if dice.random() < 0.6 else stage.residential(), number)
        at, tries, rate = first + dice.uniform(0, 30), 0, dice.uniform(1, 3)
        while (at := at + about(dice, 1 / rate, 0.3)) < first + 480:
            if tries % 60 == 0:
                # The code is void after so many tries: log in again for the next.
                stage.send(at, client, stage.site.hit(dice, "login"))
                at += 0.5
            _try(stage, at, client, "otp")
            tries += 1


@attack("reset-bombing", "1-2 addresses, one victim, a mail each 2-6 seconds for 15 minutes")
def reset_bombing(stage: Stage) -> None:
    dice = stage.dice
    first = begin(stage) - stage.span * 0.1
    for number in range(dice.randint(1, 2)):
        client = stage.attacker(dice.choice((stage.guise(True), "python-requests/2.31.0")), "", number)
        at = first
        while (at := at + dice.uniform(2, 6)) < first + 900:
            stage.send(at, client, stage.site.hit(dice, "reset"))


@attack("enumerate-signup", "4-12 addresses ask which accounts there are, 0.1-0.5 a second each for 20 minutes")
def enumerate_signup(stage: Stage) -> None:
    dice = stage.dice
    first = begin(stage) - stage.span * 0.1
    role = "check" if stage.site.has("check") else "signup"
    for number in range(dice.randint(4, 12)):
        client, rate = stage.attacker(stage.guise(True), "", number), dice.uniform(0.1, 0.5)
        at = first + dice.uniform(0, 60)
        while (at := at + dice.expovariate(rate)) < first + 1200:
            hit = stage.site.hit(dice, role, good=dice.random() < 0.4 and role == "check")
            stage.send(at, client, hit)


@attack("fake-accounts", "20-60 addresses, 2-6 accounts each, over 20 minutes")
def fake_accounts(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    first = begin(stage) - stage.span * 0.1
    network = addresses.v6(dice, addresses.CLOUDS6)
    for number in range(dice.randint(20, 60)):
        # A part comes out of one IPv6 network, a new address for each account.
        address = addresses.beside(dice, network) if dice.random() < 0.3 else stage.residential()
        client = stage.attacker(stage.guise(), address, number)
        browser = Browser(stage, client, first + dice.uniform(0, 1000), warm=False)
        browser.loads = dice.random() < 0.4
        for _ in range(dice.randint(2, 6)):
            if site.has("signup_page"):
                browser.open("signup_page")
                browser.at += dice.uniform(1, 4)
            good = dice.random() < 0.85
            browser.let_in(browser.call("signup", good=good) < 400 and good)
            browser.at += dice.uniform(0.5, 3)
            if site.has("home"):
                browser.call("home")
            browser.at += dice.uniform(10, 60)


@attack("key-testing", "1-5 addresses, another key each time, 2-6 a second over all for eight minutes")
def key_testing(stage: Stage) -> None:
    dice = stage.dice
    clients = [
        stage.attacker(dice.choice(agents.LIBRARIES), address, number)
        for number, address in enumerate(addresses.neighbours(dice, dice.randint(1, 5)))
    ]
    at, rate, tried = begin(stage), dice.uniform(2, 6), 0
    until = at + 480
    while (at := at + dice.expovariate(rate)) < until:
        tried += 1
        client = dice.choice(clients)._replace(key="od_live_" + hexes(f"{stage.seed}leaked{tried}", 24))
        hit = stage.site.hit(dice, dice.choice(("usage", "item")), 1)
        stage.send(at, client, hit if dice.random() < 0.004 else hit._replace(status=401, size=58, ms=3.0))


@attack("key-sharing", "one key from 40-120 addresses, 2-6 a second over all for 20 minutes")
def key_sharing(stage: Stage) -> None:
    dice = stage.dice
    key = "od_live_" + hexes(f"{stage.seed}shared", 24)
    clients = [
        stage.attacker(dice.choice(agents.LIBRARIES), stage.residential() if dice.random() < 0.5 else "", number, key)
        for number in range(dice.randint(40, 120))
    ]
    at, rate = begin(stage) - stage.span * 0.1, dice.uniform(2, 6)
    until = at + 1200
    while (at := at + dice.expovariate(rate)) < until:
        role = dice.choice(("item", "item", "search", "near"))
        stage.send(at, dice.choice(clients), stage.site.hit(dice, role))


@attack("coupons", "1-25 addresses guess codes, 0.5-2 a second over all for 12 minutes")
def coupons(stage: Stage) -> None:
    dice = stage.dice
    clients = [
        stage.attacker(stage.guise(), stage.residential() if dice.random() < 0.5 else "", number)
        for number in range(dice.choice((1, 2, 6, 25)))
    ]
    at, rate = begin(stage), dice.uniform(0.5, 2)
    until = at + 720
    while (at := at + dice.expovariate(rate)) < until:
        _try(stage, at, dice.choice(clients), "coupon", luck=0.003)


@attack("carding", "10-40 addresses, 3-15 cards each, 12-25 seconds apart, over 20 minutes")
def carding(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    first = begin(stage) - stage.span * 0.1
    for number in range(dice.randint(10, 40)):
        client = stage.attacker(stage.guise(), stage.residential(), number, session=True)
        browser = Browser(stage, client, first + dice.uniform(0, 900), warm=False)
        browser.loads = dice.random() < 0.3
        # The cheapest thing will do.
        browser.open("item", 17)
        browser.at += dice.uniform(1, 4)
        for role in ("add", "checkout", "reserve"):
            if site.has(role):
                browser.open(role, 17)
                browser.at += dice.uniform(1, 3)
        for _ in range(dice.randint(3, 15)):
            browser.call("pay", good=dice.random() < 0.15)
            browser.at += dice.uniform(12, 25)


@attack("hoarding", "20-60 addresses hold seats or rooms and renew each 4-8 minutes, never paying, to the end")
def hoarding(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    wanted = site.popular(dice)
    for number in range(dice.randint(20, 60)):
        client = stage.attacker(stage.guise(), stage.residential(), number, session=True)
        at = stage.sometime(0.15, 0.4)
        while at < stage.end:
            for _ in range(dice.randint(1, 4)):
                look = "stock" if site.has("stock") else "item"
                stage.send(at, client, site.hit(dice, look, wanted))
                at += dice.uniform(0.4, 1.5)
                stage.send(at, client, site.hit(dice, "reserve", wanted, good=dice.random() < 0.75))
                at += dice.uniform(0.5, 2)
            at += dice.uniform(240, 480)


@attack("ticket-bots", "25-50 addresses ask for one event each 1.5-3 seconds for six minutes, and take what there is")
def ticket_bots(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    first, wanted = begin(stage), site.popular(dice)
    for number in range(dice.randint(25, 50)):
        address = stage.residential() if dice.random() < 0.7 else ""
        client = stage.attacker(stage.guise(), address, number)
        at, every = first + dice.uniform(0, 40), dice.uniform(1.5, 3)
        referer = site.hit(dice, "item", wanted).path
        while (at := at + every * dice.uniform(0.85, 1.2)) < first + 360:
            stage.send(at, client, site.hit(dice, "stock", wanted), stage.url(referer))
            if dice.random() < 0.04:
                taken = site.hit(dice, "reserve", wanted, good=dice.random() < 0.3)
                stage.send(at + 0.2, client, taken, stage.url(referer))
