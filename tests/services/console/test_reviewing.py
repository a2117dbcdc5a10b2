"""A reviewer's way through the queue."""

from __future__ import annotations

from services.console.page_queries import Item
from services.console.reviewing import KEYS, SKIP, UNDO, Sitting, choices, found
from tests.services.console.examples import LABELS, NOW


def item(name: str = "p1", kind: str = "doubted", options: tuple[str, ...] = ()) -> Item:
    return Item(name, kind, options, "a text", "refund", 0.4, {"refund": 0.4, "invoice": 0.35}, NOW)


def sitting(*names: str) -> Sitting:
    new = Sitting("ada")
    new.offer(item(name) for name in names)
    return new


def shown(sitting: Sitting) -> str | None:
    return sitting.item.prediction_id if sitting.item else None


def test_a_key_means_the_same_label_on_every_item() -> None:
    first = {choice.key: choice.label for choice in choices(item(), LABELS)}
    assert first == dict(zip("12345678", LABELS, strict=True))
    assert first == {choice.key: choice.label for choice in choices(item("p2"), LABELS)}


def test_undo_and_skip_are_no_labels_keys() -> None:
    many = [f"label {n}" for n in range(40)]
    keys = [choice.key for choice in choices(item(), many)]
    assert UNDO not in keys
    assert SKIP not in keys


def test_labels_past_the_keys_are_there_without_one() -> None:
    many = [f"label {n}" for n in range(40)]
    offered = choices(item(kind="audit"), many)
    assert [choice.label for choice in offered][:40] == many
    assert {choice.key for choice in offered[len(KEYS) :]} == {""}


def test_the_model_answer_and_its_doubt_show() -> None:
    answer = next(choice for choice in choices(item(), LABELS) if choice.is_answer)
    assert (answer.label, answer.share) == ("refund", 0.4)


def test_an_answer_that_is_no_label_any_more_is_not_offered() -> None:
    pair = item(kind="pair", options=("refund", "invoice"))
    for shown in (item(), pair):
        assert {choice.label for choice in choices(shown, ["invoice", "other"])} == {"invoice", "other"}


def test_a_pair_is_blind() -> None:
    offered = choices(item(kind="pair", options=("invoice", "refund")), LABELS)
    assert [choice.label for choice in offered[:2]] == ["invoice", "refund"]
    assert not any(choice.is_answer or choice.share is not None for choice in offered)


def test_neither_of_a_pair_may_be_right() -> None:
    offered = choices(item(kind="pair", options=("invoice", "refund")), LABELS)
    assert {choice.label for choice in offered} == set(LABELS)


def test_typing_finds_labels_that_begin_with_it_first() -> None:
    offered = choices(item(), ["bsd-new", "gpl-2.0", "agpl-3.0"])
    assert [choice.label for choice in found(offered, "GPL")] == ["gpl-2.0", "agpl-3.0"]


def test_the_next_item_is_already_there() -> None:
    mine = sitting("p1", "p2", "p3")
    mine.answer("refund")
    assert shown(mine) == "p2"
    assert mine.wants_more


def test_an_item_that_the_view_still_lists_is_not_offered_twice() -> None:
    mine = sitting("p1", "p2")
    mine.answer("refund")
    mine.offer([item("p1"), item("p2")])
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
        mine.offer([item(f"p{number}")])
        mine.answer("refund")
    assert len(mine.past()) <= 800
    mine.offer([item("p0")])
    assert shown(mine) is None


def test_a_skipped_item_does_not_come_back() -> None:
    mine = sitting("p1", "p2")
    mine.skip()
    mine.offer([item("p1")])
    assert (shown(mine), mine.skipped) == ("p2", 1)
    assert "p1" in mine.past()
