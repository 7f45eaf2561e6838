"""Where requests come from: the beginnings of networks of homes, phones and rented machines, by author."""

from __future__ import annotations

import random

# Those of the web sites.
HOMES = (
    "24.16 62.47 71.212 77.21 78.51 79.197 80.133 81.62 82.135 83.77 84.58 85.182 86.13 87.123 88.64 89.14 "
    "90.186 91.12 92.73 93.104 94.134 95.90 109.91 176.5 178.1 188.96 217.233 46.114 31.16 37.4 2.204 5.146 "
    "98.42 73.158 99.241 68.104"
).split()
PHONES = "109.40 176.0 46.114 89.204 80.187 82.113 92.116 172.58 174.192 166.137".split()
SERVERS = (
    "5.9 138.201 51.15 167.99 159.89 45.32 104.131 95.216 176.9 185.220 188.166 142.93 193.32 194.26 45.155 "
    "47.128 8.219 43.130"
).split()
CLOUDS = "3.92 18.185 34.107 35.198 52.59 20.52 40.74 13.37".split()

# Those of the API systems.
HOUSEHOLDS = "24 67 73 76 81 86 92 98 109 174 217 78 90 188".split()
CARRIERS = "172.56 172.58 107.77 174.192 37.228 185.69 49.204 106.198 82.132".split()
PROVIDERS = (
    "3.91 34.86 34.141 52.29 54.171 35.188 18.196 159.89 167.99 88.198 51.15 20.93 13.74 104.154"
).split()
RENTED = "45.146 91.240 194.26 193.32 185.156 5.188 45.9 141.98".split()


def v4(dice: random.Random, networks: list[str]) -> str:
    """An address of one of these networks."""
    numbers = dice.choice(networks).split(".")
    return ".".join(numbers + [str(dice.randint(1, 254)) for _ in range(4 - len(numbers))])


def v6(dice: random.Random) -> str:
    """An IPv6 address of a home."""
    return "2003:" + ":".join(f"{dice.randrange(0x1000, 0xFFFF):x}" for _ in range(7))
