"""How sure a share or a paired difference of shares is: 95 % intervals that hold at small counts."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, sqrt
from statistics import NormalDist

from shared.fields import Difference, Rate

_TWO_SIDED_95 = NormalDist().inv_cdf(0.975)
_ONE_SIDED_5 = NormalDist().inv_cdf(0.95)
_POWER_80 = NormalDist().inv_cdf(0.80)


def wilson(hits: int, n: int) -> Rate:
    """The share `hits` / `n` with its 95 % score interval (Wilson 1927). Of no rows nothing is known: 0 to 1.

    Raises ValueError unless 0 <= hits <= n.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} hits of {n} rows is no share")
    if n == 0:
        return Rate(n=0, hits=0, low=0.0, high=1.0)
    z = _TWO_SIDED_95
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if hits == 0 else max(0.0, centre - half)
    high = 1.0 if hits == n else min(1.0, centre + half)
    return Rate(n=n, hits=hits, low=low, high=high)


def paired_difference(better: int, worse: int, n: int) -> Difference:
    """Candidate minus champion on the same `n` rows, with its 95 % score interval (Tango 1998).

    `better` rows only the candidate gets right, `worse` only the champion. `detects` is the smallest drop, as
    a share, that McNemar's test shows on n rows with this discordance (one-sided 5 %, power 80 %; Connor
    1987); a drop larger than the discordance brings its own disagreements. Of no rows nothing is known.
    Raises ValueError unless the counts are a part of n.
    """
    if better < 0 or worse < 0 or better + worse > n:
        raise ValueError(f"{better} better and {worse} worse rows do not fit into {n}")
    if n == 0:
        return Difference(n=0, delta=0.0, low=-1.0, high=1.0, detects=1.0)
    delta = (better - worse) / n
    low = _zero(lambda d: _TWO_SIDED_95 - _tango(better, worse, n, d), -1.0, delta)
    high = _zero(lambda d: -_TWO_SIDED_95 - _tango(better, worse, n, d), delta, 1.0)
    return Difference(n=n, delta=delta, low=low, high=high, detects=_detectable_drop((better + worse) / n, n))


def _tango(b: int, c: int, n: int, difference: float) -> float:
    """The score statistic of the hypothesis that the true difference is `difference`; falls in it."""
    linear = (2 * n - b + c) * difference - b - c
    constant = -c * difference * (1 - difference)
    only_champion = (sqrt(max(0.0, linear * linear - 8 * n * constant)) - linear) / (4 * n)
    variance = n * (2 * only_champion + difference * (1 - difference))
    distance = b - c - n * difference
    if variance <= 0:
        return inf if distance > 0 else -inf if distance < 0 else 0.0
    return distance / sqrt(variance)


def _detectable_drop(discordance: float, n: int) -> float:
    def surplus(drop: float) -> float:
        p = max(discordance, drop)
        return drop * sqrt(n) - _ONE_SIDED_5 * sqrt(p) - _POWER_80 * sqrt(max(0.0, p - drop * drop))

    return _zero(surplus, 0.0, 1.0)


def _zero(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function crosses zero between the bounds, by bisection; the bound it does not reach."""
    for _ in range(60):
        middle = (low + high) / 2
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return high
