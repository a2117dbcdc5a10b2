from __future__ import annotations

from services.human_review.blind_pair import blind_options
from services.human_review.items import Kind
from services.human_review.priority import priority

LOTS = [number / 2000 for number in range(2000)]


def test_every_pair_comes_before_everything_else() -> None:
    lowest_pair = min(priority(Kind.PAIR, one, 0.9) for one in LOTS)
    others = [priority(kind, one, 0.0) for kind in (Kind.DISLIKED, Kind.DOUBTED, Kind.AUDIT) for one in LOTS]
    assert lowest_pair >= max(others)


def test_the_surest_disliked_answer_comes_before_the_least_sure_undisliked_one() -> None:
    assert priority(Kind.DISLIKED, 0.3, 1.0) >= priority(Kind.DOUBTED, 0.7, 0.0)


def test_of_two_doubted_answers_the_less_sure_comes_first() -> None:
    assert priority(Kind.DOUBTED, 0.3, 0.2) > priority(Kind.DOUBTED, 0.7, 0.5)


def test_audit_items_are_spread_evenly_over_what_is_not_a_pair() -> None:
    places = sorted(priority(Kind.AUDIT, one, 0.99) for one in LOTS)
    assert sum(place >= 2.5 for place in places) == 500
    assert places[0] >= 1.0
    assert places[-1] < 3.0


def test_an_audit_items_place_says_nothing_about_its_confidence() -> None:
    assert priority(Kind.AUDIT, 0.3, 0.1) == priority(Kind.AUDIT, 0.3, 0.9)


def test_a_pairs_place_says_nothing_about_its_confidence() -> None:
    assert priority(Kind.PAIR, 0.3, 0.1) == priority(Kind.PAIR, 0.3, 0.9)


def test_the_order_of_options_does_not_tell_which_model_said_what() -> None:
    assert all(blind_options(one, "mit", "gpl-2.0") == blind_options(one, "gpl-2.0", "mit") for one in LOTS)


def test_neither_option_stands_first_more_often() -> None:
    first = sum(blind_options(one, "mit", "gpl-2.0")[0] == "mit" for one in LOTS)
    assert first == 1000
