from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest

from services.retraining.guessing import CHANCE, doubts, highest_of_weak, share_as_good, why_not_learnt

TRAININGS = 60


def answers(
    labels: Sequence[int], count: int, right: float, sure: float, chance: random.Random
) -> list[list[float]]:
    """A model's log-probabilities of `count` labels: `right` of them are, and it is ever so `sure` of all."""
    given = []
    for label in labels:
        others = [each for each in range(count) if each != label]
        found = label if chance.random() < right else chance.choice(others)
        given.append([math.log(sure if each == found else (1 - sure) / (count - 1)) for each in range(count)])
    return given


def refused(rows: int, count: int, right: float, sure: float) -> float:
    """Share of such trainings that must not leave."""
    chance = random.Random(1)
    labels = [row % count for row in range(rows)]
    found = 0
    for _ in range(TRAININGS):
        chance.shuffle(labels)
        found += bool(
            why_not_learnt(share_as_good(answers(labels, count, right, sure, chance), labels), labels)
        )
    return found / TRAININGS


@pytest.mark.parametrize("sure", [0.6, 0.999])
@pytest.mark.parametrize(
    ("rows", "count", "caught"), [(29, 2, 0.3), (60, 2, 0.7), (100, 2, 0.9), (12, 10, 0.9), (29, 10, 0.9)]
)
def test_what_learnt_nothing_of_the_texts_is_refused_where_the_rows_tell(
    rows: int, count: int, caught: float, sure: float
) -> None:
    assert refused(rows, count, right=1 / count, sure=sure) >= caught


@pytest.mark.parametrize("sure", [0.6, 0.999])
@pytest.mark.parametrize(
    ("rows", "count"), [(4, 2), (11, 2), (20, 2), (29, 2), (60, 2), (100, 2), (6, 3), (12, 10), (29, 10)]
)
def test_a_weak_model_is_hardly_ever_refused_by_accident(rows: int, count: int, sure: float) -> None:
    """By one in twenty orders alone more than half would be by 20 rows of two labels, two in five by 29."""
    assert refused(rows, count, right=0.7, sure=sure) <= 2 / TRAININGS


def test_one_label_for_every_text_is_guessing_however_common_it_is() -> None:
    labels = [0] * 40 + [1] * 10
    as_good = share_as_good([[math.log(0.9), math.log(0.1)]] * 50, labels)
    assert as_good == 1.0
    assert "learnt nothing" in why_not_learnt(as_good, labels)[0]


@pytest.mark.parametrize(
    ("labels", "tells"),
    [
        ([], False),
        ([0] * 100, False),
        ([0, 1] * 9, False),
        ([0, 1] * 10, True),
        ([0] * 23 + [1] * 6, False),
        ([0] * 40 + [1] * 10, True),
        ([0] * 28 + [1], False),
        ([0, 1, 2, 3, 4] * 2, True),
    ],
)
def test_rows_tell_where_a_weak_model_does_otherwise_than_guess(labels: Sequence[int], tells: bool) -> None:
    assert bool(why_not_learnt(1.0, labels)) is tells
    assert bool(doubts(1.0, labels)) is not tells


def test_between_a_good_model_and_what_no_weak_one_does_is_a_doubt() -> None:
    labels = [0, 1] * 30
    assert CHANCE < highest_of_weak(labels) < 0.3
    for as_good, refusals, warnings in [(0.05, 0, 0), (0.1, 0, 1), (0.3, 1, 0)]:
        assert len(why_not_learnt(as_good, labels)) == refusals
        assert len(doubts(as_good, labels)) == warnings


def test_few_rows_that_are_answered_rightly_leave_no_doubt() -> None:
    labels = [0, 1] * 5
    as_good = share_as_good(answers(labels, 2, right=1.0, sure=0.9, chance=random.Random(1)), labels)
    assert as_good < CHANCE
    assert doubts(as_good, labels) == []


def test_the_same_answers_are_always_judged_alike() -> None:
    labels = [0, 1, 2] * 9
    given = answers(labels, 3, right=0.2, sure=0.8, chance=random.Random(1))
    assert share_as_good(given, labels) == share_as_good(given, labels)
