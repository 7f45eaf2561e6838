"""People who have an account or want something: who works, logs in, buys, writes, applies, uses an app."""

from __future__ import annotations

from . import agents
from .people import Browser
from .sites import about
from .tape import Stage
from .visitors import Play, arriving, some_pages


def poller(stage: Stage, kind: str) -> None:
    """Works in an app that stays open in a tab for hours."""
    _work(stage, kind, "home")


def office_poller(stage: Stage, kind: str) -> None:
    """The same behind the address of a firm, with all colleagues."""
    _work(stage, kind, "office")


def _work(stage: Stage, kind: str, where: str) -> None:
    browser = arriving(stage, kind, where, "desktop", warm=True)
    if stage.dice.random() < 0.4:
        browser.log_in(quick=stage.dice.random() < 0.6)
    else:
        # Still logged in from yesterday.
        browser.let_in()
        browser.land("home")
    until = browser.at + stage.dice.uniform(600, 4000)
    while browser.at < until and not browser.over:
        # A while of work, then something else, while the tab polls in the background.
        began, page = browser.at, browser.page
        browser.wander(stage.dice.randint(1, 8), 12)
        spent, later = browser.at - began, browser.page
        browser.at, browser.page = began, page
        browser.stay(spent)
        browser.page = later
        browser.stay(about(stage.dice, 240, 0.8), focus=4)


def expired_tab(stage: Stage, kind: str) -> None:
    """Somebody went home and left a tab open, whose script keeps asking although its session ended."""
    browser = Browser(stage, stage.person(kind, "office", "desktop"), stage.start)
    browser.page = stage.site.shell or "/accounts"
    role, every = stage.site.poll or ("home", 60.0)
    browser.at += stage.dice.uniform(0, every)
    while not browser.over:
        browser.refused(role)
        if stage.site.has("login_failed"):
            # The refusal leads to the log-in, and the script follows without noticing.
            browser.at += 0.06
            browser.call("login_page")
        # Scripts of tabs in the background are woken once a minute.
        browser.at += 60 + stage.dice.uniform(-0.2, 0.4)


def spa(stage: Stage, kind: str) -> None:
    """A single-page app of another host: all that the log sees are its calls."""
    browser = arriving(stage, kind)
    browser.page = ""
    browser.open("home")
    browser.wander(some_pages(stage, 9), 11)


def member(stage: Stage, kind: str) -> None:
    """Logs in, looks at what is there, perhaps sends something, logs out or is logged out."""
    _visit_account(stage, kind, "")


def office_member(stage: Stage, kind: str) -> None:
    """An accountant: the same for longer, behind the address of a firm."""
    _visit_account(stage, kind, "office")


def _visit_account(stage: Stage, kind: str, where: str) -> None:
    browser = arriving(stage, kind, where, "desktop" if where else "")
    browser.land("home")
    if browser.log_in(mistakes=int(stage.dice.random() < 0.08)):
        browser.wander(stage.dice.randint(2, 18 if where else 9), 14)
        browser.stay(about(stage.dice, 150, 0.7))


def exporter(stage: Stage, kind: str) -> None:
    """Loads a handful of expensive reports at the end of the month."""
    browser = Browser(stage, stage.person(kind, "office", "desktop"), stage.sometime(0, 0.7))
    while not browser.log_in() and not browser.over:
        browser.think(30)
    for _ in range(stage.dice.randint(4, 14)):
        browser.think(25)
        browser.call("export", stage.site.popular(stage.dice))


def login_typo(stage: Stage, kind: str) -> None:
    """Mistypes the password once to three times, then gets it right."""
    browser = arriving(stage, kind)
    browser.land("home")
    browser.think(6)
    browser.log_in(mistakes=stage.dice.choice((1, 1, 1, 2, 2, 3)))
    browser.wander(some_pages(stage, 4), 15)


def forgotten(stage: Stage, kind: str) -> None:
    """Tries what comes to mind, gives up, has the password reset, perhaps twice, and gets in."""
    browser = arriving(stage, kind)
    browser.land("home")
    browser.log_in(mistakes=stage.dice.randint(2, 5), at_all=False)
    for _ in range(stage.dice.choice((1, 1, 2))):
        browser.think(12)
        browser.call("reset")
        browser.think(70, 0.5)
    browser.log_in()
    browser.wander(some_pages(stage, 4), 15)


def manager(stage: Stage, kind: str) -> None:
    """A password manager fills in the form at once."""
    browser = arriving(stage, kind)
    browser.log_in(quick=True)
    browser.wander(some_pages(stage, 5), 14)


def buyer(stage: Stage, kind: str) -> None:
    """Looks around, tries a voucher, pays; a card or two may be declined."""
    browser, dice, site = arriving(stage, kind), stage.dice, stage.site
    browser.land()
    browser.wander(some_pages(stage, 6), 15)
    if site.has("add"):
        browser.call("add")
        browser.open("cart")
    elif site.has("reserve"):
        if site.has("plan"):
            browser.call("plan")
            browser.think(25)
        if dice.random() < 0.25:
            browser.call("reserve", good=False)
            browser.think(8)
        browser.call("reserve")
    if site.has("coupon") and dice.random() < 0.4:
        for attempt in range(dice.choice((1, 1, 2, 3))):
            browser.think(9, 0.5)
            browser.call("coupon", good=attempt > 0 or dice.random() < 0.5)
    if site.has("checkout"):
        browser.think(12)
        browser.open("checkout")
    browser.think(55, 0.5)
    for _ in range(dice.choice((0, 0, 0, 0, 1, 2))):
        browser.call("pay", good=False)
        browser.think(35, 0.5)
    browser.call("pay")
    if site.has("paid"):
        browser.open("paid")


def commenter(stage: Stage, kind: str) -> None:
    """Reads for a while, then writes one or two contributions."""
    browser = arriving(stage, kind)
    if stage.dice.random() < 0.5:
        browser.log_in(quick=True)
    browser.land()
    for _ in range(stage.dice.choice((1, 1, 2, 4))):
        browser.wander(stage.dice.randint(1, 5), 25)
        if stage.site.has("comment_page"):
            browser.open("comment_page", browser.number)
        browser.think(120, 0.6)
        browser.call("comment")
        browser.think(3)
        browser.open("item", browser.number)


def applicant(stage: Stage, kind: str) -> None:
    """Fills in a form of several pages, corrects what was refused, uploads papers."""
    browser, dice = arriving(stage, kind), stage.dice
    browser.land("home")
    browser.wander(2, 15)
    form = dice.randrange(14)
    for step in range(1, dice.randint(4, 8)):
        browser.open("form_page", form, page=step)
        browser.think(50, 0.6)
        while dice.random() < 0.18:
            browser.call("step", form, good=False, page=step)
            browser.think(18)
        browser.call("step", form, page=step)
    for _ in range(dice.choice((0, 1, 1, 2, 5))):
        browser.think(15)
        browser.call("upload")
    browser.think(10)
    browser.open("status", dice.randrange(stage.site.items))


def app(stage: Stage, kind: str) -> None:
    """A phone's app: config and a token first, then screens, with pictures where the site has them."""
    browser = _phone_app(stage, kind)
    browser.let_in()
    if stage.site.has("refresh") and stage.dice.random() < 0.4:
        # The token ran out since yesterday, which the app learns by being refused.
        for role in ("home", "notes"):
            browser.refused(role)
        browser.at += stage.dice.uniform(0.1, 0.4)
        browser.call("refresh")
        browser.at = browser.ready
    _screens(browser, stage)


def app_typo(stage: Stage, kind: str) -> None:
    """Somebody logs in to the app anew and mistypes the password."""
    browser = _phone_app(stage, kind)
    browser.log_in(mistakes=stage.dice.randint(1, 3))
    _screens(browser, stage)


def app_code(stage: Stage, kind: str) -> None:
    """Logs in by a code that comes by SMS, late or mistyped."""
    browser = _phone_app(stage, kind)
    for _ in range(stage.dice.choice((1, 1, 2))):
        browser.call("reset")
        browser.think(25, 0.5)
    for _ in range(stage.dice.choice((0, 0, 1, 2))):
        browser.call("otp", good=False)
        browser.think(9, 0.4)
    browser.let_in(browser.call("otp") < 500)
    _screens(browser, stage)


def _phone_app(stage: Stage, kind: str) -> Browser:
    """An app that has just been started, on a phone in some network."""
    dice = stage.dice
    agent = agents.app(dice, stage.site.host)
    client = stage.person(kind, dice.choice(("home", "carrier")), "mobile")._replace(agent=agent)
    browser = Browser(stage, client, stage.sometime(-0.05, 0.96), refers=False)
    browser.call("config")
    browser.at += dice.uniform(0.2, 0.9)
    return browser


def _screens(browser: Browser, stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    browser.open("home")
    for _ in range(some_pages(stage, 7)):
        if browser.over:
            return
        if site.has("picture"):
            for _ in range(dice.choice((0, 2, 4, 8))):
                browser.call("picture", site.popular(dice))
                browser.at += dice.uniform(0.01, 0.15)
        began = browser.at
        browser.think(14)
        if site.poll and browser.at - began > site.poll[1]:
            spent, browser.at = browser.at - began, began
            browser.stay(spent)
        browser.step()
    if site.has("events"):
        # What was done is told in bundles, and once more after a failure.
        wait = 2.0
        while browser.call("events") >= 500 and wait < 70:
            browser.at += wait * dice.uniform(0.8, 1.3)
            wait *= 2


MEMBERS: dict[str, Play] = {
    play.__name__: play
    for play in (
        poller, office_poller, expired_tab, spa, member, office_member, exporter, login_typo, forgotten, manager,
        buyer, commenter, applicant, app, app_typo, app_code,
    )
}
