"""What is said at the end of following, and with which exit code."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.endings import ending, left, nothing_differs, nothing_trained
from deploy.workloads_client import Added, Round


def round_(kind: str = "cycle", outcome: str | None = None, reason: str = "because", **more: Any) -> Round:
    settings: dict[str, Any] = {"stage": "shadow", "sentence": "12 pairs differ and wait for review"} | more
    return Round(
        round_id="r1", kind=kind, is_over=outcome is not None, outcome=outcome, reason=reason, version=1,
        **settings,
    )  # fmt: skip


def added(*changes: str) -> Added:
    return Added(
        name="tickets", rows=200, labels=4, repeated_texts=0, expected_minutes=None, changes=list(changes),
        is_new=False, differs=bool(changes), trains=False, revision=3, round_id=None,
    )  # fmt: skip


def test_adding_the_same_again_says_that_nothing_differs() -> None:
    end = nothing_differs(added("nothing differs from revision 3, nothing is trained"))
    assert end.words == "tickets: nothing differs from revision 3, nothing is trained."
    assert end.exit_code == 0


def test_a_change_that_needs_no_training_says_its_revision() -> None:
    end = nothing_trained(added("title: shown from now on"))
    assert end.words == "tickets is at revision 3. Nothing is trained."
    assert end.exit_code == 0


@pytest.mark.parametrize("kind", ["revision", "cycle"])
def test_a_promotion_is_a_good_end(kind: str) -> None:
    end = ending("tickets", round_(kind, "promoted"))
    assert (end.words, end.exit_code) == ("tickets: PROMOTED. because", 0)


@pytest.mark.parametrize(("outcome", "verdict"), [("held", "HOLD"), ("rejected", "REJECT")])
def test_a_verdict_against_a_cycles_candidate_is_a_good_end_too(outcome: str, verdict: str) -> None:
    end = ending("tickets", round_("cycle", outcome))
    assert (end.words, end.exit_code) == (f"tickets: {verdict}, the champion stays. because", 0)


@pytest.mark.parametrize("outcome", ["held", "rejected"])
def test_a_first_model_that_is_not_promoted_is_a_failure_of_adding(outcome: str) -> None:
    end = ending("tickets", round_("revision", outcome))
    assert end.exit_code == 1
    assert "does not answer" in end.words
    assert end.words.endswith("because")


@pytest.mark.parametrize(
    ("outcome", "what"), [("refused", "no dataset was made"), ("failed", "training failed")]
)
@pytest.mark.parametrize("kind", ["revision", "cycle"])
def test_a_refused_dataset_and_failed_training_say_why_and_fail(outcome: str, what: str, kind: str) -> None:
    end = ending("tickets", round_(kind, outcome, "out of memory"))
    assert (end.words, end.exit_code) == (f"tickets: {what}. out of memory", 1)


def test_an_outcome_of_a_later_version_is_said_and_fails() -> None:
    end = ending("tickets", round_(outcome="postponed"))
    assert (end.words, end.exit_code) == ("tickets: postponed. because", 1)


def test_leaving_a_shadow_says_what_it_waits_for_where_and_how_to_come_back() -> None:
    end = left("tickets", round_(), "http://here/review?workload=tickets")
    assert end.exit_code == 0
    assert "goes on by itself" in end.words
    assert "12 pairs differ and wait for review" in end.words
    assert "http://here/review?workload=tickets" in end.words
    assert end.words.endswith("tuneloop workload follow tickets")


def test_leaving_a_training_does_not_ask_for_reviews() -> None:
    end = left("tickets", round_(stage="training", sentence="step 3 of 60"), "http://here/review")
    assert "review" not in end.words


def test_a_workload_with_letters_of_before_is_told_the_words_that_could_be() -> None:
    checked = added("nothing differs").model_copy(
        update={"words_to_name": {"card lost": "lost", "mit": "MIT"}}
    )
    end = nothing_differs(checked)
    assert "put this into the file, above its first [section]: words = {" in end.words
    assert 'words = { "card lost" = "lost", "mit" = "MIT" }' in end.words
