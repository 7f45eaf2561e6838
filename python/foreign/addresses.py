"""Where requests come from: homes, offices, phones behind a carrier's few addresses, rented machines."""

from __future__ import annotations

import random

# First halves of IPv4 addresses that belong to providers of the kind; which network it is does not matter.
HOMES = (
    "24.62 47.144 62.155 68.4 71.204 73.15 76.102 79.192 80.108 81.152 82.64 83.29 84.115 85.1 86.3 "
    "87.123 88.152 89.98 90.63 91.12 92.40 93.192 94.134 95.88 98.207 99.44 109.77 151.33 176.180 178.83 "
    "186.22 187.19 188.60 189.41 190.104 201.17 203.219 217.82 218.161 220.245"
).split()
CLOUDS = (
    "3.82 5.161 18.197 34.141 35.205 37.27 44.211 45.79 46.101 49.12 51.158 54.38 64.227 65.109 95.216 "
    "104.248 116.203 128.140 134.209 138.68 139.59 142.93 143.110 146.190 157.245 159.89 161.35 164.92 "
    "167.99 172.104 185.220 188.166 193.32 194.163 195.201 206.189 207.154 209.97"
).split()
CARRIERS = "77.24 80.187 82.132 92.184 100.128 107.77 166.137 172.56 174.192 178.165 213.225".split()
OFFICES = "12.153 62.96 80.147 87.191 91.208 145.253 194.25 195.50 212.184 217.110".split()

HOMES6 = "2003:e4 2601:640 2a01:e0a 2a02:8109 2a02:908 2600:1700 2804:14c 2a00:23c7".split()
CLOUDS6 = "2a01:4f8 2604:a880 2001:41d0 2a03:b0c0 2600:3c02".split()
CARRIERS6 = "2a00:20 2a01:598 2607:fb90 2600:380".split()


def v4(dice: random.Random, halves: list[str]) -> str:
    """An IPv4 address of one of these networks."""
    return f"{dice.choice(halves)}.{dice.randrange(256)}.{dice.randrange(1, 255)}"


def v6(dice: random.Random, firsts: list[str]) -> str:
    """An IPv6 address of one of these networks, its lower half drawn as privacy extensions draw it."""
    network = f"{dice.choice(firsts)}:{dice.randrange(1, 65536):x}:{dice.randrange(1, 65536):x}"
    return beside(dice, network)


def beside(dice: random.Random, network: str) -> str:
    """Another address of the same /64, given its four groups."""
    groups = network.split(":")[:4]
    return ":".join(groups + [f"{dice.randrange(1, 65536):x}" for _ in range(4)])


def home(dice: random.Random) -> str:
    """A household's line: a third of them speak IPv6."""
    return v6(dice, HOMES6) if dice.random() < 0.34 else v4(dice, HOMES)


def cloud(dice: random.Random) -> str:
    """A rented machine; few who rent one bother with IPv6."""
    return v6(dice, CLOUDS6) if dice.random() < 0.08 else v4(dice, CLOUDS)


def phone(dice: random.Random) -> str:
    """A phone with an address of its own, as carriers give them for IPv6 only."""
    return v6(dice, CARRIERS6)


def neighbours(dice: random.Random, count: int) -> list[str]:
    """Rented machines of one order: next to each other in one or two small networks."""
    found: list[str] = []
    while len(found) < count:
        first = f"{dice.choice(CLOUDS)}.{dice.randrange(256)}"
        for last in dice.sample(range(1, 255), min(count - len(found), dice.randint(4, 40))):
            found.append(f"{first}.{last}")
    return found
