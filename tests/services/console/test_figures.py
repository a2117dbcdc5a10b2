"""Figures as people read them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.console.figures import count, difference, evidence, points, relative, share, when
from shared.intervals import paired_difference, wilson
from tests.services.console.examples import NOW


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (3, "just now"),
        (-3, "just now"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (7200, "2 h ago"),
        (-7200, "in 2 h"),
        (3 * 86400, "3 days ago"),
        (15 * 86400, "2 weeks ago"),
    ],
)
def test_a_distance_is_said_in_its_largest_unit(seconds: int, said: str) -> None:
    assert relative(seconds) == said


def test_a_time_keeps_its_exact_value_for_the_hover() -> None:
    shown = when(NOW - timedelta(minutes=3), NOW)
    assert (shown.relative, shown.exact) == ("3 min ago", "Mon 02 Mar 2026, 11:57:00 UTC")


def test_a_share_brings_its_interval_and_its_n() -> None:
    assert plain(share(wilson(239, 300))) == "79.7 % (74.8–83.8, n = 300)"


def test_a_share_of_nothing_is_not_called_zero() -> None:
    assert share(wilson(0, 0)) == "not measured (n = 0)"


def test_a_drop_has_a_real_minus() -> None:
    assert points(-0.047) == "−4.7"


def test_a_drop_too_small_to_show_has_no_sign() -> None:
    assert points(-0.0001) == "0.0"


def test_a_difference_brings_its_interval_and_its_n() -> None:
    assert plain(difference(paired_difference(49, 14, 300))) == "+11.7 points (+6.7 to +16.9, n = 300)"


@pytest.mark.parametrize(
    ("value", "said"), [(0.0312, "0.0312"), (19.96, "20"), (310.4, "310"), (31e9, "10^10")]
)
def test_an_e_value_is_said_in_three_digits(value: float, said: str) -> None:
    assert evidence(value) == said


def test_one_is_singular() -> None:
    assert (count(1, "pair"), count(2, "pair")) == ("1 pair", "2 pairs")
