"""What clients call themselves: browsers in shares like those of real sites, apps, tools."""

from __future__ import annotations

import random

_WIN = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
_LINUX = "Mozilla/5.0 (X11; Linux x86_64)"
_DROID = "Mozilla/5.0 (Linux; Android 10; K)"
_KIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


def _chrome(system: str, version: int, more: str = "") -> str:
    return f"{system} {_KIT} Chrome/{version}.0.0.0 Safari/537.36{more}"


def _phone(version: int) -> str:
    return f"{_DROID} {_KIT} Chrome/{version}.0.0.0 Mobile Safari/537.36"


def _iphone(system: str, version: str) -> str:
    return (
        f"Mozilla/5.0 (iPhone; CPU iPhone OS {system} like Mac OS X) AppleWebKit/605.1.15 "
        f"(KHTML, like Gecko) Version/{version} Mobile/15E148 Safari/604.1"
    )


DESKTOP = {
    _chrome(_WIN, 134): 30,
    _chrome(_WIN, 133): 7,
    _chrome(_WIN, 109): 2,
    _chrome(_MAC, 134): 10,
    _chrome(_LINUX, 134): 3,
    _chrome(_WIN, 134, " Edg/134.0.0.0"): 12,
    _chrome(_WIN, 133, " OPR/118.0.0.0"): 2,
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:136.0) Gecko/20100101 Firefox/136.0": 6,
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0": 2,
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:136.0) Gecko/20100101 Firefox/136.0": 2,
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:136.0) Gecko/20100101 Firefox/136.0": 2,
    f"{_MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Safari/605.1.15": 9,
    f"{_MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Safari/605.1.15": 3,
}
MOBILE = {
    _phone(134): 30,
    _phone(133): 10,
    _phone(120): 2,
    f"{_DROID} {_KIT} SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36": 7,
    _iphone("18_3_2", "18.3.1"): 24,
    _iphone("17_7", "17.6"): 7,
    _iphone("16_7_10", "16.6"): 3,
    "Mozilla/5.0 (Android 14; Mobile; rv:136.0) Gecko/136.0 Firefox/136.0": 2,
    "Mozilla/5.0 (iPad; CPU OS 15_8 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.6 "
    "Mobile/15E148 Safari/604.1": 2,
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "CriOS/134.0.6998.33 Mobile/15E148 Safari/604.1": 5,
}
IN_APP = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Mobile/22D63 Instagram 371.0.0.20.76 (iPhone14,5; iOS 18_3; de_DE; de; scale=3.00; 1170x2532; 699345678)",
    "Mozilla/5.0 (Linux; Android 14; SM-S911B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like "
    "Gecko) Version/4.0 Chrome/134.0.6998.39 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/505.0.0.52.77;]",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "GSA/360.1.737798518 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 13; 2201117TG; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
    "Chrome/132.0.6834.163 Mobile Safari/537.36 trill_390205",
)
PRIVATE = (
    _chrome(_WIN, 134),
    _chrome(_LINUX, 134),
    "Mozilla/5.0 (Windows NT 10.0; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:136.0) Gecko/20100101 Firefox/136.0",
    f"{_DROID} {_KIT} Version/4.0 Chrome/134.0.0.0 Mobile DuckDuckGo/5 Safari/537.36",
)
TEXT = ("Lynx/2.9.2 libwww-FM/2.14 SSL-MM/1.4.1 OpenSSL/3.0.13", "w3m/0.5.3+git20230121", "ELinks/0.16.1.1")

# Versions that attackers' lists still hold long after people were updated.
STALE = (
    _chrome(_WIN, 91), _chrome(_WIN, 103), _chrome(_MAC, 96), _chrome(_LINUX, 88), _chrome(_WIN, 58),
    "Mozilla/5.0 (Windows NT 6.1; WOW64; rv:54.0) Gecko/20100101 Firefox/54.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:89.0) Gecko/20100101 Firefox/89.0",
    "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko",
    "Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18",
    _iphone("14_4", "14.0.3"),
)
LIBRARIES = (
    "python-requests/2.32.3", "python-requests/2.28.1", "Go-http-client/1.1", "Go-http-client/2.0", "curl/8.5.0",
    "curl/7.81.0", "axios/1.7.9", "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)", "okhttp/4.12.0",
    "Python/3.11 aiohttp/3.9.1", "Apache-HttpClient/4.5.14 (Java/17.0.10)", "GuzzleHttp/7", "libwww-perl/6.72",
)
HEADLESS = (
    _chrome(_LINUX, 131).replace("Chrome/", "HeadlessChrome/"),
    _chrome(_WIN, 131),
    _chrome(_LINUX, 133),
    _chrome(_MAC, 129),
)
LLM = (
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
    "Mozilla/5.0 (compatible; Bytespider; spider-feedback@bytedance.com)",
    "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
    _chrome(_WIN, 117),
)


def _draw(dice: random.Random, shares: dict[str, int]) -> str:
    return dice.choices(list(shares), list(shares.values()))[0]


def desktop(dice: random.Random) -> str:
    """A browser of a desk."""
    return _draw(dice, DESKTOP)


def mobile(dice: random.Random) -> str:
    """A browser of a phone or a tablet."""
    return _draw(dice, MOBILE)


def browser(dice: random.Random) -> str:
    """Any browser, as often as one meets it."""
    return mobile(dice) if dice.random() < 0.55 else desktop(dice)


def app(dice: random.Random, host: str) -> str:
    """A site's own app, on either system."""
    name, minor = host.split(".")[1].capitalize(), dice.randint(1, 6)
    return dice.choice((
        f"{name}/8.{minor}.0 (Android 14; SM-A546B) okhttp/4.12.0",
        f"{name}/8.{minor}.0 (Android 13; Pixel 6a) okhttp/4.12.0",
        f"{name}/8{minor}42 CFNetwork/1568.300.101 Darwin/24.2.0",
        f"{name}/8{minor}42 CFNetwork/1498.700.2 Darwin/23.6.0",
    ))


def forged(dice: random.Random) -> str:
    """A browser's name out of an attacker's list: some are current, many are old."""
    return dice.choice(STALE) if dice.random() < 0.5 else browser(dice)
