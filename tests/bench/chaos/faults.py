"""Which faults come in which order; pure, by a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

OUTAGES = ("refuse", "stall", "cut", "overloaded", "flap", "one partition")
OUTAGE_SECONDS = 3.0
LONG_OUTAGE_SECONDS = 12.0  # longer than a session, so that a rebalance falls into it
ONE_IN_LONG = 6
DOWN_SECONDS = 0.5  # until a supervisor notices and starts it again
ONE_IN_LONG_DOWN = 3
LONG_DOWN_SECONDS = 13.0  # longer than the intake waits for Kafka


@dataclass(frozen=True)
class Phase:
    """What happens together while a share of the events comes in."""

    kills: tuple[str, ...]
    """Names of processes."""
    outage: str | None
    outage_seconds: float
    down_seconds: float = DOWN_SECONDS
    """How long what was killed stays away."""

    @property
    def seconds(self) -> float:
        """How long it lasts, or longer."""
        return self.outage_seconds + (self.down_seconds if self.kills else 0)


def phases(kills: int, targets: tuple[str, ...], stays_away: str, seed: int) -> list[Phase]:
    """So many kills, each target as often as the others, and for every two kills an outage of ClickHouse.

    Of the outages every second has a kill inside. Of the other phases some kill two at once. Of the kills of
    `stays_away` the first and then every third leave it away for long.
    """
    chance = random.Random(seed)
    victims = _in_turn(targets, kills, chance)
    outages = _in_turn(OUTAGES, max(1, kills // 2) if kills else 0, chance)
    made: list[Phase] = []
    for number, outage in enumerate(outages):
        seconds = LONG_OUTAGE_SECONDS if number % ONE_IN_LONG == ONE_IN_LONG - 1 else OUTAGE_SECONDS
        made.append(Phase((victims.pop(),) if number % 2 and victims else (), outage, seconds))
    while victims:
        count = 2 if len(victims) > 1 and victims[-1] != victims[-2] and chance.random() < 0.2 else 1
        made.append(Phase(tuple(victims.pop() for _ in range(count)), None, 0.0))
    for number, one in enumerate([one for one in made if stays_away in one.kills]):
        if number % ONE_IN_LONG_DOWN == 0:
            made[made.index(one)] = replace(one, down_seconds=LONG_DOWN_SECONDS)
    chance.shuffle(made)
    return made


def _in_turn(of: tuple[str, ...], count: int, chance: random.Random) -> list[str]:
    chosen: list[str] = []
    while len(chosen) < count:
        chosen += chance.sample(of, len(of))
    return chosen[:count]
