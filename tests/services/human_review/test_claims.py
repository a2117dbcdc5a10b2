from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.human_review.claims import Claimant, Claims
from services.human_review.items import Kind, OpenItem

START = datetime(2026, 3, 2, tzinfo=UTC)
TEN_MINUTES = timedelta(minutes=10)


def item(prediction_id: str, wanted: int = 1, reviewers: frozenset[str] = frozenset()) -> OpenItem:
    return OpenItem(prediction_id, START, Kind.DOUBTED, (), "mit", 0.5, reviewers, wanted, "text", {})


def local(reviewer: str) -> Claimant:
    return Claimant("local", reviewer)


def choose(claims: Claims, items: list[OpenItem], who: str | Claimant, minutes: float = 0.0) -> str | None:
    claimant = local(who) if isinstance(who, str) else who
    chosen = claims.choose(items, claimant, START + timedelta(minutes=minutes))
    return chosen.prediction_id if chosen else None


def test_two_reviewers_get_different_items() -> None:
    claims, items = Claims(TEN_MINUTES, 12), [item("a"), item("b")]
    assert [choose(claims, items, "ada"), choose(claims, items, "grace")] == ["a", "b"]


def test_an_item_that_wants_two_reviews_goes_to_two_reviewers_and_no_third() -> None:
    claims, items = Claims(TEN_MINUTES, 12), [item("a", wanted=2)]
    assert [choose(claims, items, who) for who in ("ada", "grace", "alan")] == ["a", "a", None]


def test_a_claim_expires() -> None:
    claims, items = Claims(TEN_MINUTES, 12), [item("a")]
    choose(claims, items, "ada")
    assert choose(claims, items, "grace", minutes=9.5) is None
    assert choose(claims, items, "grace", minutes=10.5) == "a"


def test_what_a_reviewer_looked_at_for_too_long_is_theirs_again_if_nobody_took_it() -> None:
    claims, items = Claims(TEN_MINUTES, 12), [item("a"), item("b")]
    choose(claims, items, "grace", minutes=9.9)  # the last clearing: what ends after it must not count either
    assert [choose(claims, items, "ada", minutes) for minutes in (0, 10)] == ["b", "b"]


def test_asked_again_it_gives_another_item_and_returns_to_the_skipped_one_at_the_end() -> None:
    claims, items = Claims(TEN_MINUTES, 12), [item("a"), item("b")]
    assert [choose(claims, items, "ada", minutes) for minutes in (0, 1, 2, 3)] == ["a", "b", "a", "b"]


def test_what_a_reviewer_judged_never_comes_again() -> None:
    claims, items = Claims(TEN_MINUTES, 12), [item("a", wanted=2)]
    choose(claims, items, "ada")
    claims.judged("a", local("ada"), START)
    assert choose(claims, items, "ada") is None


def test_what_the_queue_says_a_reviewer_judged_is_not_shown_to_them() -> None:
    items = [item("a", wanted=2, reviewers=frozenset({"ada"}))]
    assert choose(Claims(TEN_MINUTES, 12), items, "ada") is None
    assert choose(Claims(TEN_MINUTES, 12), items, "grace") == "a"


def test_a_judged_item_that_wanted_one_review_is_not_given_to_others() -> None:
    claims, items = Claims(TEN_MINUTES, 12), [item("a")]
    claims.judged("a", local("ada"), START)
    assert choose(claims, items, "grace") is None


def test_who_asks_and_asks_keeps_no_more_than_the_last_few_from_others() -> None:
    claims, items = Claims(TEN_MINUTES, 3), [item(str(number)) for number in range(8)]
    greedy, anna = Claimant("p-1", "p-1"), Claimant("p-2", "p-2")
    assert [choose(claims, items, greedy) for _ in items] == [str(number) for number in range(8)]
    assert [choose(claims, items, anna) for _ in range(5)] == ["0", "1", "2", "3", "4"]


def test_invented_names_of_one_principal_share_what_it_may_hold() -> None:
    claims, items = Claims(TEN_MINUTES, 3), [item(str(number)) for number in range(8)]
    assert [choose(claims, items, f"invented-{number}") for number in range(8)] == list("01230123")
    assert choose(claims, items, "anna") == "0"


def test_what_lapsed_and_was_given_to_another_does_not_come_back() -> None:
    claims, items = Claims(TEN_MINUTES, 1), [item("a"), item("b")]
    one, other = Claimant("p-1", "p-1"), Claimant("p-2", "p-2")
    assert [choose(claims, items, one) for _ in range(2)] == ["a", "b"]
    assert choose(claims, items, other) == "a"
    assert choose(claims, items, one) == "b"


def test_what_was_judged_makes_room() -> None:
    claims, items = Claims(TEN_MINUTES, 2), [item(str(number)) for number in range(4)]
    one = Claimant("p-1", "p-1")
    for name in "012":
        assert choose(claims, items, one) == name
        claims.judged(name, one, START)
    assert [choose(claims, items, one), choose(claims, items, "anna")] == ["3", None]
