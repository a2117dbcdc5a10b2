"""How long a child stays dead."""

from __future__ import annotations

from deploy.laptop.restarts import LONGEST_PAUSE_SECONDS, STEADY_SECONDS, deaths_in_a_row, pause_seconds


def test_a_first_death_costs_almost_nothing() -> None:
    assert pause_seconds(1) == 0.2


def test_pauses_grow_to_a_limit_and_stay_there() -> None:
    pauses = [pause_seconds(deaths) for deaths in range(1, 12)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
    assert pause_seconds(1_000_000) == LONGEST_PAUSE_SECONDS


def test_a_steady_life_forgives_earlier_deaths() -> None:
    assert deaths_in_a_row(7, STEADY_SECONDS) == 1
    assert deaths_in_a_row(7, STEADY_SECONDS - 1) == 8
