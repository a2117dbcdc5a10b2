"""A label's token stays with it from revision to revision, and a removed label's is never given again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.workloads.complaints import BadWorkload
from services.workloads.definition_changes import changes, revised
from services.workloads.given_answers import Given
from services.workloads.label_words import LabelWords, NoTokenLeft
from shared.events import FrozenFile, WorkloadAdded
from shared.workload import Workload
from tests.services.workloads.conftest import NOON
from tests.services.workloads.tokenizers_for_tests import chosen

ROWS = FrozenFile(uri="x", digest="sha256:" + "a" * 64, rows=1)
ONE, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def tokens_of(text: str) -> list[int]:
    """One token for a blank and up to six letters, two for more."""
    return [int.from_bytes(text.encode())] if len(text) <= 7 else [1, 2]


def workload(*labels: str, base_model: str = "small", **more: Any) -> Workload:
    return Workload(name="t", title="t", prompt="{text}\nX:", labels=labels, base_model=base_model, **more)


def added(
    revision: int, definition: Workload, answers: dict[str, str], tokenizer: str | None = ONE
) -> WorkloadAdded:
    return WorkloadAdded(
        revision=revision, definition=definition, answers=answers, rows=ROWS, added_at=NOON,
        tokenizer_digest=tokenizer,
    )  # fmt: skip


def answers(
    before: Sequence[WorkloadAdded], definition: Workload, was: dict[str, str] | None = None
) -> dict[str, str]:
    wanted = revised(before[-1].definition if before else None, definition, was or {})
    return chosen(LabelWords(wanted.labels, wanted.words, Given.by(before, wanted, ONE)), tokens_of)


LETTERED = added(1, workload("reimburse", "card"), {"reimburse": " A", "card": " B"})
WORDED = added(1, workload("refund", "card"), {"refund": " refund", "card": " card"})


def test_letters_of_before_stay_and_a_new_label_gets_a_word() -> None:
    assert answers([LETTERED], workload("new", "card", "reimburse")) == {
        "new": " new", "card": " B", "reimburse": " A",
    }  # fmt: skip


def test_a_removed_label_s_token_is_not_given_to_another() -> None:
    assert answers([WORDED], workload("card", "refund_soon")) == {"card": " card", "refund_soon": " soon"}


def test_a_renamed_label_keeps_its_token() -> None:
    wanted = answers([WORDED], workload("payback", "card"), {"payback": "refund"})
    assert wanted == {"payback": " refund", "card": " card"}


def test_a_label_that_comes_back_has_the_token_that_it_had() -> None:
    gone = added(2, revised(WORDED.definition, workload("card", "x"), {}), {"card": " card", "x": " x"})
    assert answers([WORDED, gone], workload("card", "refund", "x"))["refund"] == " refund"


def test_a_name_that_was_renamed_away_and_comes_back_shares_no_token_with_what_it_became() -> None:
    payback = revised(WORDED.definition, workload("payback", "card"), {"payback": "refund"})
    second = added(2, payback, {"payback": " refund", "card": " card"})
    gone = revised(payback, workload("card", "x"), {})
    third = added(3, gone, {"card": " card", "x": " x"})
    for labels in (("payback", "refund", "card", "x"), ("refund", "payback", "card", "x")):
        both = answers([WORDED, second, third], workload(*labels))
        assert both["payback"] == " refund"
        assert len(set(both.values())) == len(labels)


def test_a_label_may_have_a_word_again_that_it_once_had() -> None:
    again = added(2, WORDED.definition, {"refund": " A", "card": " B"})
    words = {"refund": "refund", "card": "card"}
    assert answers([WORDED, again], workload("refund", "card", words=words)) == dict(WORDED.answers)


def test_another_tokenizer_starts_afresh_and_another_base_model_of_the_same_one_does_not() -> None:
    other = added(1, LETTERED.definition, dict(LETTERED.answers), OTHER)
    assert answers([other], workload("reimburse", "card"))["card"] == " card"
    assert answers([LETTERED], workload("reimburse", "card", base_model="big"))["card"] == " B"


def test_what_version_0_1_gave_counts_for_its_own_base_model() -> None:
    old = added(1, LETTERED.definition, dict(LETTERED.answers), None)
    assert answers([old], workload("reimburse", "card"))["card"] == " B"
    assert answers([old], workload("reimburse", "card", base_model="big"))["card"] == " card"


def test_letters_give_way_to_words_that_the_owner_names_and_are_given_to_nobody_else() -> None:
    words = {"card": "card", "reimburse": "money"}
    wanted = workload("reimburse", "card", words=words)
    named = answers([LETTERED], wanted)
    assert named == {"reimburse": " money", "card": " card"}
    second = added(2, wanted, named)
    assert second.trains_differently_from(LETTERED)
    assert any(
        '"card" is answered by "card" from the next model on' in said for said in changes(LETTERED, second)
    )
    third = answers([LETTERED, second], workload("reimburse", "card", "reimburse12", words=words))
    assert third["reimburse12"] not in (" A", " B")


def test_labels_in_another_order_are_a_revision_for_which_nothing_is_trained() -> None:
    again = added(2, workload("card", "refund"), {"card": " card", "refund": " refund"})
    assert changes(WORDED, again) == [
        "labels: they stand in another order, on the review page from now on.",
        "Nothing is trained for this.",
    ]
    renamed = revised(WORDED.definition, workload("payback", "card", "new"), {"payback": "refund"})
    third = added(2, renamed, {"payback": " refund", "card": " card", "new": " new"})
    assert not any("another order" in said for said in changes(WORDED, third))


def test_a_word_that_is_no_longer_named_stays() -> None:
    named = added(
        2, workload("reimburse", "card", words={"card": "gone"}), {"reimburse": " A", "card": " gone"}
    )
    assert answers([LETTERED, named], workload("reimburse", "card"))["card"] == " gone"


@pytest.mark.parametrize(
    ("labels", "words", "other"),
    [
        (("refund", "card"), {"refund": "card"}, "card"),
        (("lost", "card"), {"lost": "refund"}, "a label of before"),
    ],
    ids=["another label's", "a removed label's"],
)
def test_nobody_may_name_a_word_that_means_another_label(
    labels: tuple[str, ...], words: dict[str, str], other: str
) -> None:
    with pytest.raises(BadWorkload, match=f'stands for "{other}": a token keeps its meaning for good'):
        answers([WORDED], workload(*labels, words=words))


def test_more_labels_than_tokens_is_said() -> None:
    wanted = workload(*(f"verylonglabel{number}" for number in range(3)))
    with pytest.raises(NoTokenLeft, match=r"3 labels, but .* only 0\. Use fewer labels"):
        chosen(LabelWords(wanted.labels), lambda text: [1, 2])


names = st.lists(
    st.sampled_from(["a", "b", "reimburse", "c_a", "c_b", "card lost", "card"]),
    min_size=2,
    max_size=6,
    unique=True,
)


@given(st.lists(names, min_size=2, max_size=5))
def test_whatever_revisions_there_are_no_token_ever_means_two_labels(history: list[list[str]]) -> None:
    revisions: list[WorkloadAdded] = []
    for number, labels in enumerate(history, 1):
        held = revisions[-1].definition if revisions else None
        wanted = revised(held, workload(*labels), {})
        revisions.append(added(number, wanted, answers(revisions, wanted)))
    meaning: dict[str, str] = {}
    for revision in revisions:
        assert set(revision.answers) == set(revision.definition.labels)
        assert len(set(revision.answers.values())) == len(revision.answers)
        for label, answer in revision.answers.items():
            assert meaning.setdefault(answer, label) == label
