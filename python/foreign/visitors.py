"""The people who come: how each kind of them reads, clicks, mistypes, waits and reloads."""

from __future__ import annotations

from typing import Callable

from . import addresses, agents
from .people import Browser
from .sites import about
from .tape import Stage

Play = Callable[[Stage, str], None]
"""Plays one actor of a kind on a stage of its own."""


def arriving(stage: Stage, kind: str, where: str = "", device: str = "", warm: bool | None = None) -> Browser:
    """Somebody with a browser, who comes at any time, or was there already when the log began."""
    # Some browsers of any kind tell no referer: settings, extensions, policies of firms.
    refers = stage.dice.random() > 0.06
    return Browser(stage, stage.person(kind, where, device), stage.sometime(-0.1, 0.97), refers, warm)


def some_pages(stage: Stage, median: float) -> int:
    """How many pages somebody opens."""
    return max(1, min(60, round(about(stage.dice, median, 0.9))))


def reader(stage: Stage, kind: str) -> None:
    """Comes, reads some pages, goes."""
    browser = arriving(stage, kind)
    browser.land()
    browser.wander(some_pages(stage, 4), 17)


def office(stage: Stage, kind: str) -> None:
    """A reader at work, behind the one address of the firm."""
    browser = arriving(stage, kind, "office", "desktop")
    for _ in range(stage.dice.randint(1, 3)):
        browser.land()
        browser.wander(some_pages(stage, 4), 20)
        browser.think(500, 0.6)


def tabs(stage: Stage, kind: str) -> None:
    """Opens what a list shows in tabs, one click after the other, and reads them afterwards."""
    browser = arriving(stage, kind, device="desktop")
    browser.land("list")
    for _ in range(stage.dice.randint(1, 4)):
        listed, role, number = browser.page, browser.role, browser.number
        browser.think(9)
        for _ in range(stage.dice.randint(3, 12)):
            began = browser.at
            browser.page = listed
            browser.open("item" if stage.site.has("item") else "home")
            browser.at = began + stage.dice.uniform(0.4, 2.2)
        browser.think(90, 0.6)
        browser.page, browser.role, browser.number = listed, role, number
        browser.step()


def private(stage: Stage, kind: str) -> None:
    """A browser that does not tell where it comes from and forgets its cache, often by way of a VPN."""
    client = stage.person(kind, "home")._replace(agent=stage.dice.choice(agents.PRIVATE))
    if stage.dice.random() < 0.4:
        client = client._replace(address=addresses.cloud(stage.dice))
    browser = Browser(stage, client, stage.sometime(-0.05, 0.97), stage.dice.random() < 0.5, False)
    # Half of them are silent to other sites only, the others always.
    browser.told = False
    browser.land()
    browser.wander(some_pages(stage, 5), 19)


def in_app(stage: Stage, kind: str) -> None:
    """Taps a link inside of another app: one page, seldom a second."""
    client = stage.person(kind, "", "mobile")._replace(agent=stage.dice.choice(agents.IN_APP))
    browser = Browser(stage, client, stage.sometime(), refers=stage.dice.random() < 0.5, warm=False)
    browser.land("item")
    browser.wander(stage.dice.choice((0, 0, 0, 1, 1, 2, 4)), 22)


def textual(stage: Stage, kind: str) -> None:
    """A browser without pictures or scripts."""
    client = stage.person(kind, "home", "desktop")._replace(agent=stage.dice.choice(agents.TEXT))
    browser = Browser(stage, client, stage.sometime(0, 0.8), warm=False)
    browser.loads = False
    browser.land("home")
    browser.wander(stage.dice.randint(5, 30), 14)


def screen_reader(stage: Stage, kind: str) -> None:
    """Goes through pages with a screen reader: many short looks at headings, back and on again. Where strangers have
    nothing to read it is a customer, who logs in first."""
    browser = arriving(stage, kind, "home", "desktop")
    if stage.site.public("item"):
        browser.land()
    else:
        browser.land("home")
        browser.log_in()
    browser.wander(stage.dice.randint(10, 40), 8)


def researcher(stage: Stage, kind: str) -> None:
    """Reads a hundred and more pages for hours, one after the other: a librarian, a student, a collector."""
    browser = Browser(stage, stage.person(kind, "home", "desktop"), stage.sometime(-0.1, 0.15))
    browser.land("search" if stage.site.has("search") else "home")
    while not browser.over:
        browser.think(11, 0.7)
        if stage.dice.random() < 0.7:
            browser.open("item")
        else:
            browser.step()


def typer(stage: Stage, kind: str) -> None:
    """Searches while typing: each pause of the fingers is a request."""
    browser = arriving(stage, kind)
    # Where only members can search it is one of them.
    browser.let_in(not stage.site.public("search"))
    browser.land("home")
    for _ in range(stage.dice.randint(1, 5)):
        browser.think(8)
        text = f"{stage.site.name} {stage.dice.choice(('silver harbour', 'garden', 'oak tower', 'spring light'))}"
        typed = text.split(" ", 1)[1]
        for length in range(2, len(typed) + 1):
            browser.at += stage.dice.uniform(0.09, 0.4)
            if stage.dice.random() < 0.75:
                browser.call("suggest", text=typed[:length])
        browser.think(1.5, 0.4)
        browser.open("search", text=typed)
        browser.wander(some_pages(stage, 2), 15)


def scroller(stage: Stage, kind: str) -> None:
    """Scrolls through a list that never ends."""
    browser = arriving(stage, kind, device="mobile")
    browser.land("home")
    more = "more" if stage.site.has("more") else "list"
    for page in range(stage.dice.randint(5, 40)):
        browser.think(5, 0.6)
        browser.call(more, page=page + 2)
        if stage.dice.random() < 0.1:
            browser.open("item")


def reloader(stage: Stage, kind: str) -> None:
    """Waits for something that is sold out or about to open, and reloads the page by hand."""
    browser = Browser(stage, stage.person(kind), stage.sometime(0.05, 0.7))
    wanted = stage.site.popular(stage.dice)
    browser.land("item" if stage.site.has("item") else "home", wanted)
    until, pause = browser.at + stage.dice.uniform(240, 900), stage.dice.uniform(3, 15)
    while browser.at < until:
        browser.think(pause, 0.5)
        browser.page = ""
        browser.open(browser.role or "home", wanted)


def waiter(stage: Stage, kind: str) -> None:
    """Keeps a page open whose script asks whether there is something again."""
    browser = arriving(stage, kind)
    browser.land("item")
    browser.stay(stage.dice.uniform(300, 1800))


def crowd(stage: Stage, kind: str) -> None:
    """One of the many who follow a link within half an hour, most of them at first."""
    dice = stage.dice
    at = stage.fame + dice.expovariate(1 / 420)
    outside = dice.choice(("https://news.ycombinator.com/", "https://www.reddit.com/", "", ""))
    browser = Browser(stage, stage.person(kind), at, warm=False)
    browser.open("item", stage.famous, outside=outside)
    browser.wander(dice.choice((0, 0, 0, 1, 1, 3)), 30)


VISITORS: dict[str, Play] = {
    play.__name__: play
    for play in (
        reader, office, tabs, private, in_app, textual, screen_reader, researcher, typer, scroller, reloader, waiter,
        crowd,
    )
}
