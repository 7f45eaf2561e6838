"""What clients call themselves and which headers they send."""

from __future__ import annotations

import random

_KIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko)"

PYTHON = "python-requests/2.32.3"
OLD_PYTHON = "python-requests/2.31.0"
GO_1 = "Go-http-client/1.1"
GO_2 = "Go-http-client/2.0"
CURL = "curl/8.5.0"
POSTMAN = "PostmanRuntime/7.43.0"
HTTPX = "python-httpx/0.28"
GOOGLEBOT = (
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Googlebot/2.1; "
    "+http://www.google.com/bot.html) Chrome/133.0.6943.98 Safari/537.36"
)
GOOGLEBOT_SHORT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def windows_chrome(version: int) -> str:
    """Chrome on Windows."""
    return f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_KIT} Chrome/{version}.0.0.0 Safari/537.36"


def mac_chrome(version: int) -> str:
    """Chrome on a Mac."""
    return f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_KIT} Chrome/{version}.0.0.0 Safari/537.36"


def _android_chrome(version: int) -> str:
    return f"Mozilla/5.0 (Linux; Android 10; K) {_KIT} Chrome/{version}.0.0.0 Mobile Safari/537.36"


def _edge(version: int) -> str:
    return f"{windows_chrome(version)} Edg/{version}.0.0.0"


def _firefox(system: str, version: int) -> str:
    return f"Mozilla/5.0 ({system}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"


def _iphone(system: str, version: str) -> str:
    return (
        f"Mozilla/5.0 (iPhone; CPU iPhone OS {system} like Mac OS X) {_SAFARI} Version/{version} "
        "Mobile/15E148 Safari/604.1"
    )


WINDOWS_FIREFOX_128 = _firefox("Windows NT 10.0; Win64; x64", 128)
LINUX_FIREFOX_115 = _firefox("X11; Linux x86_64", 115)

_APPLE = (
    _iphone("17_6_1", "17.6"),
    _iphone("18_3_1", "18.3"),
    f"Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) {_SAFARI} Version/17.7 Safari/604.1",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_SAFARI} Version/18.2 Safari/605.1.15",
)


def web_browser(dice: random.Random) -> str:
    """A browser of those who come to the web sites."""
    share = dice.random()
    if share < 0.55:
        make = dice.choice((windows_chrome, mac_chrome, _android_chrome, _edge))
        return make(dice.choice((120, 124, 128, 129, 130, 131, 131, 132, 132, 133, 133, 133, 134)))
    if share < 0.7:
        system = dice.choice(("Windows NT 10.0; Win64; x64", "X11; Linux x86_64"))
        return _firefox(system, dice.choice((115, 128, 133, 134, 135, 135, 136)))
    return dice.choice(_APPLE)


API_BROWSERS = (
    windows_chrome(131),
    windows_chrome(132),
    windows_chrome(133),
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_SAFARI} Version/18.3 Safari/605.1.15",
    _firefox("X11; Linux x86_64", 135),
    _iphone("18_3", "18.3"),
)
"""The browsers of those who come to the API systems."""

NAVIGATION_HEADERS = (
    "host user-agent accept accept-language accept-encoding connection referer cookie "
    "upgrade-insecure-requests sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user priority"
).split()
FORM_HEADERS = NAVIGATION_HEADERS[:6] + ["content-type", "content-length", "origin"] + NAVIGATION_HEADERS[6:]
ASSET_HEADERS = (
    "host user-agent accept accept-language accept-encoding connection referer cookie sec-fetch-dest "
    "sec-fetch-mode sec-fetch-site priority"
).split()
SCRIPT_HEADERS = (
    "host user-agent accept accept-language accept-encoding x-requested-with connection referer cookie "
    "sec-fetch-dest sec-fetch-mode sec-fetch-site"
).split()
BOT_HEADERS = "host user-agent accept accept-encoding connection".split()
CURL_HEADERS = "host user-agent accept".split()
API_BROWSER_HEADERS = (
    "host user-agent accept accept-language accept-encoding referer cookie origin content-type "
    "sec-fetch-mode sec-fetch-site sec-fetch-dest sec-ch-ua"
).split()
SDK_HEADERS = "host user-agent accept accept-encoding connection authorization content-type".split()
APP_HEADERS = "host user-agent accept-encoding connection authorization x-app-version".split()
HOOK_HEADERS = "host user-agent content-type content-length x-signature".split()
DEVICE_HEADERS = "host user-agent content-type content-length authorization".split()
