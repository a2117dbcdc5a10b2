from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.human_review.claims import Claims
from services.human_review.items import Kind, OpenItem

START = datetime(2026, 3, 2, tzinfo=UTC)
TEN_MINUTES = timedelta(minutes=10)


def item(prediction_id: str, wanted: int = 1, reviewers: frozenset[str] = frozenset()) -> OpenItem:
    return OpenItem(prediction_id, START, Kind.DOUBTED, (), "mit", 0.5, reviewers, wanted, "text", {})


def choose(claims: Claims, items: list[OpenItem], reviewer: str, minutes: float = 0.0) -> str | None:
    chosen = claims.choose(items, reviewer, START + timedelta(minutes=minutes))
    return chosen.prediction_id if chosen else None


def test_two_reviewers_get_different_items() -> None:
    claims, items = Claims(TEN_MINUTES), [item("a"), item("b")]
    assert [choose(claims, items, "ada"), choose(claims, items, "grace")] == ["a", "b"]


def test_an_item_that_wants_two_reviews_goes_to_two_reviewers_and_no_third() -> None:
    claims, items = Claims(TEN_MINUTES), [item("a", wanted=2)]
    assert [choose(claims, items, who) for who in ("ada", "grace", "alan")] == ["a", "a", None]


def test_a_claim_expires() -> None:
    claims, items = Claims(TEN_MINUTES), [item("a")]
    choose(claims, items, "ada")
    assert choose(claims, items, "grace", minutes=9.5) is None
    assert choose(claims, items, "grace", minutes=10.5) == "a"


def test_what_a_reviewer_looked_at_for_too_long_is_theirs_again_if_nobody_took_it() -> None:
    claims, items = Claims(TEN_MINUTES), [item("a"), item("b")]
    choose(claims, items, "grace", minutes=9.9)  # the last clearing: what ends after it must not count either
    assert [choose(claims, items, "ada", minutes) for minutes in (0, 10)] == ["b", "b"]


def test_asked_again_it_gives_another_item_and_returns_to_the_skipped_one_at_the_end() -> None:
    claims, items = Claims(TEN_MINUTES), [item("a"), item("b")]
    assert [choose(claims, items, "ada", minutes) for minutes in (0, 1, 2, 3)] == ["a", "b", "a", "b"]


def test_what_a_reviewer_judged_never_comes_again() -> None:
    claims, items = Claims(TEN_MINUTES), [item("a", wanted=2)]
    choose(claims, items, "ada")
    claims.judged("a", "ada", START)
    assert choose(claims, items, "ada") is None


def test_what_the_queue_says_a_reviewer_judged_is_not_shown_to_them() -> None:
    items = [item("a", wanted=2, reviewers=frozenset({"ada"}))]
    assert choose(Claims(TEN_MINUTES), items, "ada") is None
    assert choose(Claims(TEN_MINUTES), items, "grace") == "a"


def test_a_judged_item_that_wanted_one_review_is_not_given_to_others() -> None:
    claims, items = Claims(TEN_MINUTES), [item("a")]
    claims.judged("a", "ada", START)
    assert choose(claims, items, "grace") is None
