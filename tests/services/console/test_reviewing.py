"""A reviewer's way through the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from services.console.reviewing import KEYS, MOST_NAMED, SKIP, UNDO, Item, Sitting, choices, found
from tests.services.console.examples import LABELS, NOW

MINUTE = timedelta(minutes=1)


def item(
    name: str = "p1", kind: str = "doubted", options: tuple[str, ...] = (), labels: Sequence[str] = LABELS
) -> Item:
    shares = {"refund": 0.4, "invoice": 0.35}
    return Item(name, kind, "a text", options, labels, NOW, NOW + 10 * MINUTE, "refund", shares)


def sitting(*names: str) -> Sitting:
    new = Sitting("ada")
    for name in names:
        new.offer(item(name))
    return new


def shown(sitting: Sitting) -> str | None:
    return sitting.item.prediction_id if sitting.item else None


def test_a_key_means_the_same_label_on_every_item() -> None:
    first = {choice.key: choice.label for choice in choices(item())}
    assert first == dict(zip("12345678", LABELS, strict=True))
    assert first == {choice.key: choice.label for choice in choices(item("p2"))}


def test_undo_and_skip_are_no_labels_keys() -> None:
    many = [f"label {n}" for n in range(40)]
    keys = [choice.key for choice in choices(item(labels=many))]
    assert UNDO not in keys
    assert SKIP not in keys


def test_labels_past_the_keys_are_there_without_one() -> None:
    many = [f"label {n}" for n in range(40)]
    offered = choices(item(kind="audit", labels=many))
    assert [choice.label for choice in offered][:40] == many
    assert {choice.key for choice in offered[len(KEYS) :]} == {""}


def test_the_model_answer_and_its_doubt_show() -> None:
    answer = next(choice for choice in choices(item()) if choice.is_answer)
    assert (answer.label, answer.share) == ("refund", 0.4)


def test_an_answer_that_is_no_label_any_more_is_not_offered() -> None:
    pair = item(kind="pair", options=("refund", "invoice"))
    for shown in (item(), pair):
        offered = choices(replace(shown, labels=["invoice", "other"]))
        assert {choice.label for choice in offered} == {"invoice", "other"}


def test_a_pair_is_blind() -> None:
    offered = choices(item(kind="pair", options=("invoice", "refund")))
    assert [choice.label for choice in offered[:2]] == ["invoice", "refund"]
    assert not any(choice.is_answer or choice.share is not None for choice in offered)


def test_neither_of_a_pair_may_be_right() -> None:
    offered = choices(item(kind="pair", options=("invoice", "refund")))
    assert {choice.label for choice in offered} == set(LABELS)


def test_typing_finds_labels_that_begin_with_it_first() -> None:
    offered = choices(item(labels=["bsd-new", "gpl-2.0", "agpl-3.0"]))
    assert [choice.label for choice in found(offered, "GPL")] == ["gpl-2.0", "agpl-3.0"]


def test_the_next_item_is_already_there() -> None:
    mine = sitting("p1", "p2", "p3")
    mine.answer("refund")
    assert shown(mine) == "p2"
    assert mine.wants_more


def test_an_item_that_was_answered_or_waits_is_not_taken_twice() -> None:
    mine = sitting("p1", "p2")
    mine.answer("refund")
    assert not mine.offer(item("p1"))
    assert not mine.offer(item("p2"))
    mine.answer("refund")
    assert shown(mine) is None


def test_undo_brings_back_the_item_and_what_was_said() -> None:
    mine = sitting("p1", "p2")
    mine.answer("invoice")
    assert mine.undo() == "invoice"
    assert (shown(mine), mine.given) == ("p1", 0)


def test_undo_before_anything_was_said_changes_nothing() -> None:
    mine = sitting("p1")
    assert mine.undo() is None
    assert shown(mine) == "p1"


def test_a_long_sitting_asks_for_what_is_new_with_a_short_list() -> None:
    mine = Sitting("ada")
    for number in range(2000):
        mine.offer(item(f"p{number}"))
        mine.skip()
    assert len(mine.past()) == MOST_NAMED
    assert not mine.offer(item("p0"))


def test_a_skipped_item_does_not_come_back() -> None:
    mine = sitting("p1", "p2")
    mine.skip()
    assert not mine.offer(item("p1"))
    assert (shown(mine), mine.skipped) == ("p2", 1)
    assert "p1" in mine.past()


def test_what_waited_too_long_goes_back_and_the_item_on_the_page_stays() -> None:
    mine = Sitting("ada")
    mine.offer(replace(item("p1"), held_until=NOW + 20 * MINUTE))
    mine.offer(item("p2"))
    assert mine.let_go(NOW + 9 * MINUTE) is None
    assert mine.past() == ["p1", "p2"]
    assert mine.let_go(NOW + 10 * MINUTE) is None
    assert mine.past() == ["p1"]


def test_the_item_on_the_page_goes_back_too_when_its_hold_ends() -> None:
    mine = sitting("p1", "p2")
    gone = mine.let_go(NOW + 10 * MINUTE)
    assert gone is not None
    assert (gone.prediction_id, shown(mine), mine.past()) == ("p1", None, [])


def test_an_answer_that_was_undone_stays_on_the_page() -> None:
    mine = sitting("p1")
    mine.answer("refund")
    mine.undo()
    assert mine.let_go(NOW + 60 * MINUTE) is None
    assert shown(mine) == "p1"
