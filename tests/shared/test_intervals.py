"""Intervals against published figures, brute force and exact coverage."""

from __future__ import annotations

from math import exp, lgamma, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.intervals import paired_difference, wilson


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 2000))
    better = draw(st.integers(0, n))
    return better, draw(st.integers(0, n - better)), n


def test_wilson_gives_newcombes_published_intervals() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3
    for hits, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        rate = wilson(hits, n)
        assert [rate.low, rate.high] == pytest.approx([low, high], abs=5e-5)


def test_of_no_rows_nothing_is_known() -> None:
    rate, difference = wilson(0, 0), paired_difference(0, 0, 0)
    assert (rate.low, rate.high) == (0, 1)
    assert (difference.low, difference.high, difference.detects) == (-1, 1, 1)


@pytest.mark.parametrize(
    ("better", "worse", "n"), [(12, 2, 50), (0, 0, 30), (9, 0, 40), (0, 5, 5), (3, 4, 100)]
)
def test_a_bound_is_where_the_score_under_the_constrained_likelihood_is_1_96(
    better: int, worse: int, n: int
) -> None:
    difference = paired_difference(better, worse, n)
    for bound in (difference.low, difference.high):
        if abs(bound) < 1 - 1e-9:
            assert abs(_score_by_brute_force(better, worse, n, bound)) == pytest.approx(1.96, abs=0.01)


def test_the_interval_covers_at_small_counts() -> None:
    n = 25
    intervals = {(b, c): paired_difference(b, c, n) for b in range(n + 1) for c in range(n + 1 - b)}
    for p, q in ((0.02, 0.02), (0.1, 0.05), (0.2, 0.2), (0.3, 0.05)):
        covered = sum(
            _trinomial(b, c, n, p, q)
            for (b, c), it in intervals.items()
            if it.low - 1e-12 <= p - q <= it.high + 1e-12
        )
        assert covered >= 0.93


@given(counts())
def test_the_interval_holds_its_delta_and_turns_with_the_sides(case: tuple[int, int, int]) -> None:
    better, worse, n = case
    one, other = paired_difference(better, worse, n), paired_difference(worse, better, n)
    assert -1 <= one.low <= one.delta + 1e-12
    assert one.delta - 1e-12 <= one.high <= 1
    assert one.low == pytest.approx(-other.high, abs=1e-6)
    assert 0 < one.detects <= 1


def test_detects_agrees_with_connors_sample_size() -> None:
    # 5 points at a discordance of 10 %: 248 pairs give a power of 80 %
    assert paired_difference(12, 13, 248).detects == pytest.approx(0.05, abs=0.0005)


def test_without_a_single_disagreement_a_large_drop_would_still_show() -> None:
    assert 0 < paired_difference(0, 0, 150).detects < 0.06
    assert paired_difference(0, 0, 2).detects == pytest.approx(1.0)


@pytest.mark.parametrize(("hits", "n"), [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(hits: int, n: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson(hits, n)
    with pytest.raises(ValueError, match="do not fit"):
        paired_difference(hits, 0, n)


def _score_by_brute_force(b: int, c: int, n: int, difference: float) -> float:
    """Maximises the likelihood over the nuisance parameter on a grid instead of by Tango's closed form."""
    q = np.linspace(max(0.0, -difference), (1 - difference) / 2, 400_001)[1:-1]
    p = q + difference
    likelihood = b * np.log(p) + c * np.log(q) + (n - b - c) * np.log(np.maximum(1 - p - q, 1e-300))
    best = q[int(np.argmax(likelihood))]
    return float((b - c - n * difference) / sqrt(n * (2 * best + difference - difference**2)))


def _trinomial(b: int, c: int, n: int, p: float, q: float) -> float:
    ways = lgamma(n + 1) - lgamma(b + 1) - lgamma(c + 1) - lgamma(n - b - c + 1)
    return exp(ways + b * log(p) + c * log(q) + (n - b - c) * log(1 - p - q))
