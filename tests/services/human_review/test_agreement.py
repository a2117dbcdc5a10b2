from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.human_review.agreement import Opinion, State, outcome, reviews_wanted, under_present_names
from services.human_review.items import Kind
from shared.workload import Workload

START = datetime(2026, 3, 2, tzinfo=UTC)


def opinions(*answers: str) -> list[Opinion]:
    return [
        Opinion(f"review-{number}", f"reviewer-{number}", answer, START + timedelta(minutes=number))
        for number, answer in enumerate(answers)
    ]


def test_one_review_is_an_agreement_where_one_is_wanted() -> None:
    reached = outcome(opinions("mit"), wanted=1)
    assert (reached.state, reached.right_answer) == (State.AGREED, "mit")


def test_one_review_is_not_enough_where_two_are_wanted() -> None:
    assert outcome(opinions("mit"), wanted=2).state is State.OPEN


def test_nobody_has_agreed_before_the_first_review() -> None:
    assert outcome([], wanted=1).state is State.OPEN


@pytest.mark.parametrize("wanted", [1, 2])
def test_two_who_disagree_dispute_it(wanted: int) -> None:
    assert outcome(opinions("mit", "gpl-2.0"), wanted).state is State.DISPUTED


def test_a_third_review_settles_a_dispute_by_majority() -> None:
    reached = outcome(opinions("mit", "gpl-2.0", "gpl-2.0"), wanted=2)
    assert (reached.state, reached.right_answer) == (State.AGREED, "gpl-2.0")
    assert [one.reviewer for one in reached.agreeing] == ["reviewer-1", "reviewer-2"]


def test_three_different_answers_settle_nothing() -> None:
    assert outcome(opinions("mit", "gpl-2.0", "apache-2.0"), wanted=2).state is State.DISPUTED


def test_it_was_agreed_when_the_last_agreeing_review_was_given_whatever_order_they_come_in() -> None:
    given = opinions("mit", "mit")
    assert outcome(given, 2).agreed_at == outcome(given[::-1], 2).agreed_at == given[1].given_at


def test_about_the_wanted_share_of_predictions_is_reviewed_twice() -> None:
    twice = sum(reviews_wanted(Kind.DOUBTED, number / 1000, 0.2, 1) == 2 for number in range(1000))
    assert twice == 200


def test_a_pair_wants_as_many_reviews_as_are_asked_of_pairs_and_what_nobody_queued_one() -> None:
    for of_a_pair in (1, 2):
        assert reviews_wanted(Kind.PAIR, 0.0, 1.0, of_a_pair) == of_a_pair
        assert reviews_wanted(None, 0.0, 1.0, of_a_pair) == 1


def test_opinions_count_under_the_names_that_labels_have_now() -> None:
    workload = Workload(
        name="t",
        title="t",
        prompt="{text}\nX:",
        labels=("new", "x"),
        renamed={"old": "new"},
        removed=("gone",),
    )
    given = opinions("old", "new", "gone", "nonsense")
    assert [one.right_answer for one in under_present_names(given, workload)] == ["new", "new"]
