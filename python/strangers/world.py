"""What a web site and an API system have in common: dice, entries, and who plays on them."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime
from typing import Any, Callable, Iterator, Sequence, TypeVar

from .addresses import v4
from .entries import Entry

END = 4500.0
"""Seconds of a log."""

Play = Callable[..., None]
Value = TypeVar("Value")


def ordinary(play: Play) -> Play:
    """Marks a method that plays harmless clients."""
    setattr(play, "ordinary", True)
    return play


class World:
    """A web site or an API system for 75 minutes, with everybody who comes to it."""

    name: str
    start: datetime
    hidden: frozenset[str]
    """What a lean log does not say."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.dice = random.Random(f"{seed}/{self.name}")
        self.playing = ""
        """The attack that is being played."""
        self.entries: list[Entry] = []
        self.numbers: Counter[str] = Counter()
        self.attack_names = frozenset(name for log in self.logs() for name in log)

    def logs(self) -> list[list[str]]:
        """The attacks, by the log in which they come."""
        raise NotImplementedError

    def assault(self, name: str) -> None:
        """Plays an attack."""
        raise NotImplementedError

    def aftermath(self) -> None:
        """What becomes of the harmless entries when all are there."""

    def harmless(self) -> list[Entry]:
        """The entries of everybody harmless."""
        self._begin()
        for owner in type(self).__mro__:
            for name, play in vars(owner).items():
                if getattr(play, "ordinary", False):
                    self.dice = random.Random(f"{self.seed}/{self.name}/{name}")
                    play(self)
        self.dice = random.Random(f"{self.seed}/{self.name}/aftermath")
        self.aftermath()
        return self.entries

    def attacked(self, names: Sequence[str]) -> list[Entry]:
        """The entries of some attacks."""
        self._begin()
        for name in names:
            self.dice = random.Random(f"{self.seed}/{self.name}/attack/{name}")
            self.playing = name
            self.assault(name)
        return self.entries

    def _begin(self) -> None:
        self.entries = []
        self.numbers = Counter()
        self.playing = ""

    def actor(self, kind: str) -> str:
        """The name of another client of a kind."""
        self.numbers[kind] += 1
        return f"{kind}-{self.numbers[kind]}"

    def note(self, at: float, fields: dict[str, Any], kind: str, actor: str) -> None:
        """Writes down a request; clients whose kind is an attack are abusive."""
        self.entries.append(Entry(at, fields, kind, actor, kind in self.attack_names))

    def chance(self, share: float) -> bool:
        """Whether something happens that happens so often."""
        return self.dice.random() < share

    def draw(self, shares: dict[Value, float]) -> Value:
        """One of these, as often as each is."""
        return self.dice.choices(list(shares), list(shares.values()))[0]

    def pick(self, values: Sequence[Value]) -> Value:
        """One of these."""
        return self.dice.choice(values)

    def between(self, least: float, most: float) -> float:
        """A number of a range."""
        return self.dice.uniform(least, most)

    def whole(self, least: int, most: int) -> int:
        """A whole number of a range, with its end."""
        return self.dice.randint(least, most)

    def about(self, value: float, share: float = 0.2) -> float:
        """A number near another."""
        return value * self.dice.uniform(1 - share, 1 + share)

    def gap(self, mean: float) -> float:
        """The time until something that happens at random."""
        return self.dice.expovariate(1 / mean)

    def address(self, *pools: list[str]) -> str:
        """An address of one of these pools."""
        return v4(self.dice, self.dice.choice(pools))

    def every(self, seconds: float, begin: float, end: float = END, jitter: float = 0.15) -> Iterator[float]:
        """The times of something that is done again and again."""
        at = begin
        while at < end:
            yield at
            at += self.about(seconds, jitter)

    def arrivals(self, per_minute: float, begin: float = 0.0, end: float = END) -> Iterator[float]:
        """The times at which people come who know nothing of each other."""
        at = begin + self.gap(60 / per_minute)
        while at < end:
            yield at
            at += self.gap(60 / per_minute)
