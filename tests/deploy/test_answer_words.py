"""Before training it is said by which word each label is answered."""

from __future__ import annotations

from deploy.answer_words import answers_in_words
from deploy.workloads_client import Checked


def checked(answers: dict[str, str], *, trains: bool = True) -> Checked:
    return Checked(
        name="tickets", rows=200, labels=len(answers), answers=answers, repeated_texts=0,
        expected_minutes=1.0, changes=[], is_new=True, differs=True, trains=trains,
    )  # fmt: skip


def test_words_are_named_where_they_are_not_the_label_s_name() -> None:
    (said,) = answers_in_words(checked({"card_lost": " lost", "refund": " refund", "atm_support": " ATM"}))
    assert said == (
        "Answered by one word each: card_lost: lost, atm_support: ATM, 1 by their names. "
        "A better word is named under [words]."
    )


def test_labels_that_are_words_need_no_list() -> None:
    assert answers_in_words(checked({"card": " card"})) == ["Each label is answered by its own name."]


def test_where_nothing_is_trained_no_word_matters() -> None:
    assert answers_in_words(checked({"card_lost": " lost"}, trains=False)) == []
