"""Attacks on what a site holds: scraping, enumeration, spam, expensive questions."""

from __future__ import annotations

from . import addresses, agents
from .attacks import attack, begin
from .people import Browser
from .sites import about, query
from .tape import Stage
from .telling import Client


@attack("scrape-naive", "one rented machine, ids in their order, 3-10 a second for eight minutes")
def scrape_naive(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    agent = dice.choice(agents.LIBRARIES + ("Scrapy/2.11.2 (+https://scrapy.org)",))
    client, rate = stage.attacker(agent), dice.uniform(3, 10)
    at, number = begin(stage), dice.randrange(site.items // 2)
    until = at + 480
    while (at := at + about(dice, 1 / rate, 0.35)) < until:
        number += 1
        stage.send(at, client, site.hit(dice, "item", number))


@attack("scrape-catalog", "2-5 addresses, each list and then all it shows, 0.5-1.5 a second each for 15 minutes")
def scrape_catalog(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    first = begin(stage) - stage.span * 0.1
    for number in range(dice.randint(2, 5)):
        client = stage.attacker(stage.guise(), "" if dice.random() < 0.6 else stage.residential(), number)
        at, rate, place, page = first + dice.uniform(0, 30), dice.uniform(0.5, 1.5), number * 400, 0
        while at < first + 900:
            page += 1
            listed = site.hit(dice, "list", number, page=page)
            stage.send(at, client, listed)
            for _ in range(20):
                at += about(dice, 1 / rate, 0.4)
                place += 1
                stage.send(at, client, site.hit(dice, "item", place % site.items), stage.url(listed.path))
            at += 1 / rate


@attack("scrape-slow", "1-3 addresses, one page each 6-14 seconds to the end")
def scrape_slow(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    role = "prices" if site.has("prices") else "item"
    for number in range(dice.randint(1, 3)):
        client = stage.attacker(stage.guise(), "" if dice.random() < 0.5 else stage.residential(), number)
        at, place = stage.sometime(0.05, 0.15), dice.randrange(site.items // 2)
        while (at := at + dice.uniform(6, 14)) < stage.end:
            place += dice.randint(1, 3)
            stage.send(at, client, site.hit(dice, role, place % site.items, page=dice.randint(10, 28)))


@attack("scrape-rotating", "one address or IPv6 network, another agent each time, 0.7-2 a second for 15 minutes")
def scrape_rotating(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    client, rate = stage.attacker("", session=True), dice.uniform(0.7, 2)
    network = addresses.v6(dice, addresses.CLOUDS6) if dice.random() < 0.4 else ""
    at, place = begin(stage) - stage.span * 0.1, dice.randrange(site.items)
    until = at + 900
    while (at := at + dice.expovariate(rate)) < until:
        place = (place + dice.randint(1, 9)) % site.items
        address = addresses.beside(dice, network) if network else client.address
        now = client._replace(agent=stage.guise(True), address=address)
        stage.send(at, now, site.hit(dice, "item", place), "" if dice.random() < 0.5 else "https://www.google.com/")


@attack("scrape-headless", "3-8 driven browsers with all files, a page each 3-7 seconds for ten minutes")
def scrape_headless(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    first = begin(stage) - stage.span * 0.1
    for number in range(dice.randint(3, 8)):
        address = "" if dice.random() < 0.7 else stage.residential()
        client = stage.attacker(dice.choice(agents.HEADLESS), address, number)
        browser = Browser(stage, client, first + dice.uniform(0, 60), warm=False)
        place = number * 300
        browser.open("list", number)
        while browser.at < first + 600:
            browser.at += dice.uniform(1.5, 5)
            place += 1
            browser.open("item", place % site.items)


@attack("scrape-distributed", "1200-2200 homes with 1-3 requests each over 25 minutes, 1-2 a second over all")
def scrape_distributed(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    first, place = stage.sometime(0.15, 0.3), dice.randrange(site.items // 2)
    for number in range(dice.randint(1200, 2200)):
        client = stage.attacker(stage.guise(True), stage.residential(), number, session=True)
        at = first + dice.uniform(0, 1500)
        for _ in range(dice.choices((1, 2, 3), (5, 3, 1))[0]):
            place = (place + 1) % site.items
            stage.send(at, client, site.hit(dice, "item", place))
            at += dice.uniform(1, 90)


@attack("search-scraping", "5-15 addresses, words by a list and all pages of what is found, 0.2-0.5 a second each")
def search_scraping(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    first = begin(stage) - stage.span * 0.1
    for number in range(dice.randint(5, 15)):
        client = stage.attacker(stage.guise(True), "" if dice.random() < 0.6 else stage.residential(), number)
        at, rate = first + dice.uniform(0, 90), dice.uniform(0.2, 0.5)
        while at < first + 900:
            text = query(dice)
            for page in range(1, dice.randint(2, 6)):
                at += about(dice, 1 / rate, 0.4)
                hit = site.hit(dice, "search", text=text, page=page)
                if page > 1 and "page=" not in hit.path and "seite=" not in hit.path and hit.method == "GET":
                    hit = hit._replace(path=f"{hit.path}&page={page}")
                stage.send(at, client, hit)


@attack("llm-crawler", "4-12 neighbouring machines follow every link, heed no rules, 3-8 a second for 12 minutes")
def llm_crawler(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    agent = dice.choice(agents.LLM)
    clients = [stage.attacker(agent, address, number)
               for number, address in enumerate(addresses.neighbours(dice, dice.randint(4, 12)))]
    roles = [role for role in ("item", "item", "list", "history", "diff", "print", "profile", "search", "comments",
                               "reviews", "login_page") if site.has(role)]
    at, rate = begin(stage) - stage.span * 0.1, dice.uniform(3, 8)
    until = at + 720
    while (at := at + dice.expovariate(rate)) < until:
        hit = site.hit(dice, dice.choice(roles), dice.randrange(int(site.items * 1.02)), page=dice.randint(1, 60))
        if "?" in hit.path and dice.random() < 0.3:
            # Every order of every list is a page of its own to it.
            hit = hit._replace(path=f"{hit.path}&sort={dice.choice(('date', 'name', 'price', 'views'))}&dir=desc")
        stage.send(at, dice.choice(clients), hit)


@attack("ids-sequential", "one valid session, ids one after the other, 2-6 a second for six minutes")
def ids_sequential(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    client = _session(stage)
    at, rate, number = begin(stage), dice.uniform(2, 6), dice.randrange(site.items // 2)
    until = at + 360
    while (at := at + about(dice, 1 / rate, 0.3)) < until:
        number += 1
        # Some records are hidden or gone; that the others are shown is the fault that is used.
        there = number if dice.random() < 0.85 else site.items + number
        stage.send(at, client, site.hit(dice, "item", there))


@attack("ids-random", "one valid session, ids by chance, 0.5-1.5 a second for 20 minutes, half of them not there")
def ids_random(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    client = _session(stage)
    role = "status" if site.has("status") else "item"
    at, rate, share = begin(stage) - stage.span * 0.1, dice.uniform(0.5, 1.5), dice.uniform(0.3, 0.8)
    until = at + 1200
    while (at := at + about(dice, 1 / rate, 0.4)) < until:
        number = dice.randrange(site.items) if dice.random() > share else site.items + dice.randrange(10**6)
        stage.send(at, client, site.hit(dice, role, number))


def _session(stage: Stage) -> Client:
    """Somebody who is logged in, or has a key."""
    dice = stage.dice
    agent = dice.choice((stage.guise(), "python-requests/2.32.3"))
    return stage.attacker(agent, stage.residential(), session=True)


@attack("graphql-nested", "2-6 addresses, 0.2-0.6 deeply nested questions a second each for six minutes")
def graphql_nested(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    first = begin(stage)
    for number in range(dice.randint(2, 6)):
        agent = dice.choice((stage.guise(), "python-requests/2.32.3"))
        client, rate = stage.attacker(agent, "", number), dice.uniform(0.2, 0.6)
        at = first + dice.uniform(0, 30)
        while (at := at + dice.expovariate(rate)) < first + 360:
            slow = dice.random() < 0.15
            hit = site.hit(dice, "list")._replace(
                body=int(about(dice, 9000, 0.6)), ms=30000.0 if slow else about(dice, 4200, 0.5),
                size=150 if slow else int(about(dice, 620000, 0.6)), status=504 if slow else 200,
            )
            stage.send(at, client, hit)


@attack("graphql-aliases", "1-4 addresses, 0.2-0.8 posts a second each with hundreds of log-ins in one, eight minutes")
def graphql_aliases(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    first = begin(stage)
    for number in range(dice.randint(1, 4)):
        agent = dice.choice((stage.guise(), "python-requests/2.32.3"))
        client, rate = stage.attacker(agent, "", number), dice.uniform(0.2, 0.8)
        at, aliases = first + dice.uniform(0, 30), dice.choice((100, 250, 500))
        while (at := at + dice.expovariate(rate)) < first + 480:
            hit = site.hit(dice, "login", good=False)
            body, size = aliases * 118 + dice.randrange(200), aliases * 92 + dice.randrange(90)
            stage.send(at, client, hit._replace(body=body, size=size, ms=about(dice, aliases * 9, 0.3)))


@attack("comment-spam", "10-50 addresses, page and contribution within two seconds, 0.3-1 a second over all")
def comment_spam(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    clients = [stage.attacker(stage.guise(True), stage.residential() if dice.random() < 0.5 else "", number)
               for number in range(dice.randint(10, 50))]
    at, rate = begin(stage) - stage.span * 0.1, dice.uniform(0.3, 1.0)
    until = at + 1200
    while (at := at + dice.expovariate(rate)) < until:
        client, number = dice.choice(clients), dice.randrange(site.items)
        page = site.hit(dice, "comment_page" if site.has("comment_page") else "item", number)
        stage.send(at, client, page)
        sent = site.hit(dice, "comment", number, good=dice.random() < 0.6)
        stage.send(at + dice.uniform(0.5, 2), client, sent, stage.url(page.path))


@attack("form-spam", "1-10 addresses post a form, 0.2-1 a second over all for 20 minutes")
def form_spam(stage: Stage) -> None:
    dice = stage.dice
    clients = [stage.attacker(stage.guise(True), "", number) for number in range(dice.choice((1, 3, 10)))]
    at, rate = begin(stage) - stage.span * 0.1, dice.uniform(0.2, 1.0)
    until = at + 1200
    while (at := at + dice.expovariate(rate)) < until:
        stage.send(at, dice.choice(clients), stage.site.hit(dice, "form"))


@attack("exports", "1-3 addresses with a session, a large export each 2-6 seconds for ten minutes")
def exports(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    first = begin(stage)
    for number in range(dice.randint(1, 3)):
        client = _session(stage)._replace(actor=f"{stage.actor}:{number}")
        at = first
        while (at := at + dice.uniform(2, 6)) < first + 600:
            stage.send(at, client, site.hit(dice, "export", site.popular(dice)))


@attack("webhook-replay", "1-2 rented machines send a recorded hook, 2-6 a second for five minutes")
def webhook_replay(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    first, share = begin(stage), dice.choice((0.0, 0.9, 1.0))
    for number in range(dice.randint(1, 2)):
        agent = dice.choice(("Stripe/1.0 (+https://stripe.com/docs/webhooks)", "curl/8.5.0"))
        client, rate = stage.attacker(agent, "", number), dice.uniform(2, 6)
        at = first
        while (at := at + dice.expovariate(rate)) < first + 300:
            stage.send(at, client, site.hit(dice, "webhook", good=dice.random() > share))
