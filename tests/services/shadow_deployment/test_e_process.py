"""The e-process: by hand, and by simulation of what it promises."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shadow_deployment import e_process
from services.shadow_deployment.e_process import log_e_value, peak


def test_one_win_is_worth_twice_the_mean_win_rate() -> None:
    thetas = np.linspace(0.505, 0.995, 60)
    weights = np.exp(-(((thetas - 0.5) / 0.35) ** 2))
    by_hand = float(2 * np.average(thetas, weights=weights))
    assert exp(log_e_value(1, 0)) == pytest.approx(by_hand)
    assert exp(log_e_value(0, 1)) == pytest.approx(2 - by_hand)
    assert log_e_value(0, 0) == pytest.approx(0)


def test_with_a_single_win_rate_the_e_value_is_the_likelihood_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(e_process, "_TERMS", [(0.0, log(2 * 0.75), log(2 * 0.25))])
    # 1.5^7 * 0.5 = 8.54..., 1.5^10 * 0.5 = 28.8...
    assert exp(log_e_value(7, 1)) == pytest.approx(8.54296875)
    assert peak([False, *[True] * 10], needed=20).reached_at == 11


@given(st.integers(0, 300), st.integers(0, 300))
def test_staking_on_a_fair_coin_gains_nothing_on_average(wins: int, losses: int) -> None:
    now = log_e_value(wins, losses)
    after = (exp(log_e_value(wins + 1, losses) - now) + exp(log_e_value(wins, losses + 1) - now)) / 2
    assert after == pytest.approx(1)


def test_it_is_stable_for_many_thousands_of_pairs() -> None:
    assert 1000 < log_e_value(60_000, 40_000) < 3000
    assert -3000 < log_e_value(40_000, 60_000) < -100


def test_outcomes_without_evidence_keep_their_place() -> None:
    assert (
        peak([None, *[True] * 20], needed=20).reached_at == (peak([True] * 20, needed=20).reached_at or 0) + 1
    )
    assert peak([None] * 50, needed=20) == peak([], needed=20)


@given(st.lists(st.sampled_from([True, False, None]), max_size=80))
def test_the_peak_is_the_highest_of_all_looks(outcomes: list[bool | None]) -> None:
    looks = [
        log_e_value(outcomes[:look].count(True), outcomes[:look].count(False))
        for look in range(1, len(outcomes) + 1)
    ]
    assert peak(outcomes, needed=20).log_e == pytest.approx(max([0.0, *looks]), abs=1e-9)


def _share_ever_reaching_20(win_rate: float, runs: int, pairs: int, seed: int) -> tuple[float, float]:
    """Share of runs that ever reach 20, looking after every pair, and the median pairs it takes."""
    wins = np.cumsum(np.random.default_rng(seed).random((runs, pairs)) < win_rate, axis=1)
    needed = np.array([_wins_needed(n) for n in range(1, pairs + 1)])
    reached = wins >= needed
    first = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, np.inf)
    return float(reached.any(axis=1).mean()), float(np.median(first))


def _wins_needed(n: int) -> int:
    """Of n pairs; the e-value rises with the wins among them."""
    low, high = n // 2, n + 1
    while low < high:
        middle = (low + high) // 2
        if log_e_value(middle, n - middle) >= log(20):
            high = middle
        else:
            low = middle + 1
    return low


def test_a_candidate_that_is_no_better_is_promoted_in_less_than_5_of_100_runs() -> None:
    share, _ = _share_ever_reaching_20(0.5, runs=4000, pairs=1000, seed=1)
    assert 0.01 < share <= 0.05  # it is no empty promise either: some are promoted by chance


def test_ten_points_more_are_found_within_a_hundred_discordant_pairs() -> None:
    # accuracy 80 % -> 90 %: of 16 % discordant requests 13 % are won, a win rate of 0.81
    share, median = _share_ever_reaching_20(0.13 / 0.16, runs=2000, pairs=100, seed=2)
    assert share > 0.99
    assert median <= 25
