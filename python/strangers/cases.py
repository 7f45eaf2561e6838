"""The sites and systems, and the logs that are judged of each of them."""

from __future__ import annotations

from typing import Iterator, Sequence

from .city import City
from .entries import Line, merged, written
from .game import Game
from .gql import Gql
from .hotel import Hotel
from .idp import Idp
from .iot import Iot
from .logi import Logi
from .news import News
from .oss import Oss
from .pay import Pay
from .pod import Pod
from .reg import Reg
from .saas import Saas
from .shop import Shop
from .uni import Uni
from .world import World

WORLDS: dict[str, type[World]] = {
    world.name: world
    for world in (News, Shop, Uni, City, Oss, Pod, Hotel, Pay, Game, Iot, Saas, Idp, Logi, Gql, Reg)
}
"""By name: first the web sites, then the API systems."""


def attack_names() -> list[str]:
    """The names of all attacks; several sites may have an attack of the same name."""
    found = {name: None for world in WORLDS.values() for log in world(0).logs() for name in log}
    return list(found)


def logs(
    site: str, seed: int, telling: str, wanted: Sequence[str] = ()
) -> Iterator[tuple[list[str], list[Line]]]:
    """The logs of a site, each with the attacks that are in it: first the log without an attack. With wanted
    attacks there are no others."""
    world = WORLDS[site](seed)
    hidden = world.hidden if telling == "lean" else frozenset()
    harmless = written(world.harmless(), world.start, hidden)
    yield [], harmless
    for log in world.logs():
        names = [name for name in log if not wanted or name in wanted]
        if names:
            yield names, merged(harmless, written(world.attacked(names), world.start, hidden))
