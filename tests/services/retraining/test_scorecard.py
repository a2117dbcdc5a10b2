from __future__ import annotations

import pytest

from services.retraining.scorecard import Judged, calibration_error, scorecard
from shared.intervals import paired_difference, wilson

# right answer, candidate, champion, base, confidence
HELD_OUT = [
    ("a", "a", "a", "b", 0.95),
    ("a", "a", "b", "a", 0.85),
    ("a", "b", "b", "b", 0.55),
    ("b", "b", "a", "b", 0.75),
    ("b", "b", "b", "c", 0.95),
    ("b", "c", "b", "c", 0.45),
    ("c", "a", "c", "c", 0.65),
    ("a", "a", "b", "b", 1.0),
]
LABELS = ("a", "b", "c", "d")


def held_out(*, champion: bool = True) -> list[Judged]:
    return [
        Judged("held_out", number, right, candidate, confidence, before if champion else None, base)
        for number, (right, candidate, before, base, confidence) in enumerate(HELD_OUT)
    ]


def golden(right: int, wrong: int, champion_right: int) -> list[Judged]:
    """The champion is right on the first rows, the candidate too, but for the first `wrong`."""
    return [
        Judged(
            "golden",
            number,
            "a",
            "b" if number < wrong else "a",
            0.9,
            "a" if number < champion_right else "b",
        )
        for number in range(right + wrong)
    ]


def test_shares_and_paired_difference() -> None:
    card = scorecard(held_out(), LABELS, 0.05)
    assert card.held_out == wilson(5, 8)
    assert card.champion == wilson(4, 8)
    assert card.base_model == wilson(3, 8)
    assert card.held_out_difference == paired_difference(3, 2, 8)
    assert card.majority_share == 0.5


def test_precision_recall_f1_per_label() -> None:
    a, b, c, d = scorecard(held_out(), LABELS, 0.05).labels
    assert (a.n, a.precision, a.recall, a.f1) == (4, 3 / 4, 3 / 4, 3 / 4)
    assert (b.n, b.precision, b.recall, b.f1) == (3, 2 / 3, 2 / 3, 2 / 3)
    assert (c.n, c.precision, c.recall, c.f1) == (1, 0, 0, 0)
    assert (d.n, d.precision, d.recall, d.f1, d.champion_f1) == (0, 0, 0, 0, 0)
    assert a.champion_f1 == pytest.approx(2 * 1 / (2 + 4))
    assert b.champion_f1 == pytest.approx(2 * 2 / (5 + 3))
    assert c.champion_f1 == 1


def test_confusions_of_either_model_the_commonest_first() -> None:
    found = [
        (one.right_answer, one.answer, one.n, one.champion, one.candidate)
        for one in scorecard(held_out(), LABELS, 0.05).confusions
    ]
    assert found == [
        ("a", "b", 4, 3, 1),
        ("b", "a", 3, 1, 0),
        ("b", "c", 3, 0, 1),
        ("c", "a", 1, 0, 1),
    ]


def test_without_a_champion_nothing_is_compared() -> None:
    card = scorecard(held_out(champion=False), LABELS, 0.05)
    assert (card.champion, card.held_out_difference, card.golden_difference) == (None, None, None)
    assert not card.golden_regressed
    assert {one.champion for one in card.confusions} == {None}
    assert {one.champion_f1 for one in card.labels} == {None}


@pytest.mark.parametrize(("wrong", "regressed"), [(0, False), (4, False), (5, True), (9, True)])
def test_five_points_less_on_golden_rows_is_a_regression(wrong: int, regressed: bool) -> None:
    card = scorecard(golden(100 - wrong, wrong, champion_right=100), LABELS, 0.05)
    assert card.golden_difference is not None
    assert card.golden_difference.delta == pytest.approx(-wrong / 100)
    assert card.golden_regressed is regressed


def test_adversarial_rows_are_reported_by_generator() -> None:
    rows = [
        Judged("adversarial/typos", 0, "a", "a", 0.9, "b"),
        Judged("adversarial/typos", 1, "a", "b", 0.9, "b"),
        Judged("adversarial/noise", 0, "a", "a", 0.9, "a"),
    ]
    first, second = scorecard(rows, LABELS, 0.05).adversarial
    assert (first.generator, first.n, first.candidate, first.champion) == (
        "typos",
        2,
        wilson(1, 2),
        wilson(0, 2),
    )
    assert (second.generator, second.champion) == ("noise", wilson(1, 1))


def test_rows_of_a_label_that_the_champion_lacks_judge_the_candidate_alone() -> None:
    card = scorecard(held_out(), LABELS, 0.05, champion_lacks=["c", "d"])
    assert (card.held_out.n, card.champion) == (8, wilson(3, 7))
    assert card.held_out_difference == paired_difference(3, 1, 7)
    assert [label.champion_f1 is None for label in card.labels] == [False, False, True, True]
    assert {one.right_answer: one.champion for one in card.confusions}["c"] is None
    assert card.champion_lacks == ["c", "d"]
    assert 'the champion was not trained on "c", "d"' in card.compared_on
    assert scorecard(held_out(), LABELS, 0.05).compared_on == ""


def test_calibration_error_by_hand() -> None:
    # bins: 0.9–1.0 holds 0.95 and 1.0 (both right), 0.6–0.7 holds 0.65 (wrong)
    answers = [(0.95, True), (1.0, True), (0.65, False)]
    assert calibration_error(answers) == pytest.approx((abs(2 - 1.95) + abs(0 - 0.65)) / 3)
    assert calibration_error([]) == 0


def test_no_rows_give_an_honest_empty_card() -> None:
    card = scorecard([], LABELS, 0.05)
    assert (card.held_out.n, card.held_out.low, card.held_out.high) == (0, 0, 1)
    assert (card.majority_share, card.adversarial, card.confusions) == (0, [], [])
