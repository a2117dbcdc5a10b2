from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest

from services.retraining.guessing import CHANCE, can_tell, doubts, share_as_good, why_not_learnt

TRAININGS = 60


def answers(
    labels: Sequence[int], count: int, right: float, sure: float, chance: random.Random
) -> list[list[float]]:
    """A model's log-probabilities of `count` labels: it finds `right` of them and is ever so `sure` of it."""
    given = []
    for label in labels:
        found = label if chance.random() < right else chance.randrange(count)
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
@pytest.mark.parametrize(("rows", "count"), [(20, 2), (29, 10), (40, 2)])
def test_what_learnt_nothing_of_the_texts_is_refused_however_sure_it_is(
    rows: int, count: int, sure: float
) -> None:
    assert refused(rows, count, right=0.0, sure=sure) >= 1 - 2 * CHANCE


@pytest.mark.parametrize("sure", [0.6, 0.999])
@pytest.mark.parametrize(("rows", "count", "right"), [(20, 2, 0.8), (29, 10, 0.5), (40, 2, 0.6)])
def test_what_learnt_something_is_not_refused(rows: int, count: int, right: float, sure: float) -> None:
    """`right` of the answers are known and the others guessed, so that of two labels 0.8 are 90 % right."""
    assert refused(rows, count, right, sure) < CHANCE


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
        ([0, 1] * 8, False),
        ([0, 1] * 9, True),
        ([0] * 18 + [1] * 4, False),
        ([0] * 18 + [1] * 5, True),
        ([0] * 28 + [1], False),
        ([0, 1, 2, 3, 4] * 2, True),
        ([0, 0, 0, 0, 1, 1, 2, 2, 3, 4], True),
    ],
)
def test_rows_tell_by_how_many_orders_their_labels_have(labels: Sequence[int], tells: bool) -> None:
    """With few orders a good model may well be no better than one in twenty of them."""
    assert can_tell(labels) is tells
    assert bool(why_not_learnt(1.0, labels)) is tells
    assert bool(doubts(1.0, labels)) is not tells


def test_few_rows_that_are_answered_rightly_leave_no_doubt() -> None:
    labels = [0, 1] * 5
    as_good = share_as_good(answers(labels, 2, right=1.0, sure=0.9, chance=random.Random(1)), labels)
    assert as_good < CHANCE
    assert doubts(as_good, labels) == []


def test_the_same_answers_are_always_judged_alike() -> None:
    labels = [0, 1, 2] * 9
    given = answers(labels, 3, right=0.2, sure=0.8, chance=random.Random(1))
    assert share_as_good(given, labels) == share_as_good(given, labels)
