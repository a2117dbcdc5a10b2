"""Evidence that may be looked at after every pair: a mixture e-process over discordant pairs.

One outcome is one request that exactly one of two models got right. If the one is no better, it wins with
probability 1/2 at most, and a gambler who stakes on its wins cannot expect to gain: his wealth, from 1, ever
reaches 1 / alpha with probability alpha at most (Ville 1939; Ramdas, Grünwald, Vovk and Shafer 2023,
"Game-theoretic statistics and safe anytime-valid inference"). He mixes over the win rates theta above 1/2,
small ones weighing more: E = sum of w(theta) (2 theta)^wins (2 (1 - theta))^losses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, log

_THETAS = [0.505 + 0.49 * step / 59 for step in range(60)]
_WEIGHTS = [exp(-(((theta - 0.5) / 0.35) ** 2)) for theta in _THETAS]
_TERMS = [
    (log(weight / sum(_WEIGHTS)), log(2 * theta), log(2 * (1 - theta)))
    for theta, weight in zip(_THETAS, _WEIGHTS, strict=True)
]


@dataclass(frozen=True)
class Peak:
    """The highest log e-value over all looks, and after which outcome (from 1) it first was high enough."""

    log_e: float
    reached_at: int | None


def log_e_value(wins: int, losses: int) -> float:
    """The natural logarithm of the e-value; stable for any counts."""
    terms = [log_weight + wins * win + losses * loss for log_weight, win, loss in _TERMS]
    highest = max(terms)
    return highest + log(sum(exp(term - highest) for term in terms))


def peak(outcomes: Iterable[bool | None], needed: float) -> Peak:
    """Looks after every outcome: True is a win, False a loss, None carries no evidence but has its place.

    `needed` is the e-value that is high enough (1 / alpha).
    """
    wins = losses = 0
    highest, reached_at = 0.0, None
    for place, won in enumerate(outcomes, start=1):
        wins += won is True
        losses += won is False
        if won and wins > losses:  # only a win raises it, and only a majority of wins lifts it above 1
            log_e = log_e_value(wins, losses)
            highest = max(highest, log_e)
            if reached_at is None and log_e >= log(needed):
                reached_at = place
    return Peak(highest, reached_at)
