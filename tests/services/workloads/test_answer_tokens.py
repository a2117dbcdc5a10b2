"""A label's token stays with it from revision to revision, and a removed label's is never given again."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.workloads.answer_tokens import Given, NoTokenLeft, answers_for, candidate_answers
from services.workloads.definition_changes import revised
from shared.events import FrozenFile, WorkloadAdded
from shared.workload import Workload
from tests.services.workloads.conftest import NOON

ROWS = FrozenFile(uri="x", digest="sha256:" + "a" * 64, rows=1)


def tokens_of(text: str) -> Sequence[int]:
    """One token for a blank and up to six letters, two for more."""
    return [hash(text)] if len(text) <= 7 else [1, 2]


def workload(*labels: str, base_model: str = "small") -> Workload:
    return Workload(name="t", title="t", prompt="{text}\nX:", labels=labels, base_model=base_model)


def added(revision: int, definition: Workload, answers: dict[str, str]) -> WorkloadAdded:
    return WorkloadAdded(revision=revision, definition=definition, answers=answers, rows=ROWS, added_at=NOON)


def tokens_by_text(single: set[str]) -> dict[str, list[int]]:
    texts = [*sorted(single), *candidate_answers([])]
    return {text: [number] if text in single else [number, 0] for number, text in enumerate(texts)}


def test_labels_that_are_single_tokens_go_by_their_names() -> None:
    tokens = tokens_by_text({" refund", " card"})
    assert answers_for(["refund", "card"], tokens.__getitem__) == {"refund": " refund", "card": " card"}


def test_one_label_of_two_tokens_gives_codes_to_all() -> None:
    tokens = tokens_by_text({" A", " C"}) | {" refund": [7], " card lost": [8, 9]}
    assert answers_for(["refund", "card lost"], tokens.__getitem__) == {"refund": " A", "card lost": " C"}


def test_labels_whose_tokens_collide_get_codes() -> None:
    tokens = tokens_by_text({" A", " B"}) | {" mit": [7], " MIT": [7]}
    assert answers_for(["mit", "MIT"], tokens.__getitem__) == {"mit": " A", "MIT": " B"}


def test_too_many_labels_for_the_tokenizer_is_said() -> None:
    tokens = tokens_by_text({" A"}) | {" a b": [1, 2], " c d": [3, 4]}
    with pytest.raises(NoTokenLeft, match="2 labels"):
        answers_for(["a b", "c d"], tokens.__getitem__)


def test_labels_go_by_their_names_where_each_is_one_token() -> None:
    assert answers_for(["refund", "card"], tokens_of) == {"refund": " refund", "card": " card"}


def test_else_all_get_codes() -> None:
    assert answers_for(["reimbursement", "card"], tokens_of) == {"reimbursement": " A", "card": " B"}


def test_a_new_label_of_a_coded_workload_gets_the_next_code_and_the_others_keep_theirs() -> None:
    first = workload("reimbursement", "card")
    before = added(1, first, {"reimbursement": " A", "card": " B"})
    wanted = revised(first, workload("new", "card", "reimbursement"), {})
    answers = answers_for(wanted.labels, tokens_of, Given.by([before], wanted))
    assert answers == {"new": " C", "card": " B", "reimbursement": " A"}


def test_a_removed_label_s_code_is_not_given_to_another() -> None:
    first = workload("reimbursement", "card")
    before = added(1, first, {"reimbursement": " A", "card": " B"})
    wanted = revised(first, workload("card", "something new"), {})
    assert answers_for(wanted.labels, tokens_of, Given.by([before], wanted)) == {
        "card": " B",
        "something new": " C",
    }


def test_a_long_new_label_among_names_gets_a_code() -> None:
    first = workload("refund", "card")
    before = added(1, first, {"refund": " refund", "card": " card"})
    wanted = revised(first, workload("refund", "card", "reimbursement"), {})
    answers = answers_for(wanted.labels, tokens_of, Given.by([before], wanted))
    assert answers == {"refund": " refund", "card": " card", "reimbursement": " A"}


def test_another_base_model_has_other_tokens() -> None:
    before = added(1, workload("refund", "card"), {"refund": " A", "card": " B"})
    assert Given.by([before], workload("refund", "card", base_model="big")) == Given()


def test_more_labels_than_tokens_is_said() -> None:
    with pytest.raises(NoTokenLeft, match="Use fewer labels"):
        answers_for([f"very long label {number}" for number in range(3)], lambda text: [1, 2])


names = st.lists(st.sampled_from(["a", "b", "reimbursement", "c", "d"]), min_size=2, max_size=5, unique=True)


@given(st.lists(names, min_size=2, max_size=5))
def test_whatever_revisions_there_are_no_token_ever_means_two_labels(history: list[list[str]]) -> None:
    revisions: list[WorkloadAdded] = []
    for number, labels in enumerate(history, 1):
        held = revisions[-1].definition if revisions else None
        wanted = revised(held, workload(*labels), {})
        answers = answers_for(wanted.labels, tokens_of, Given.by(revisions, wanted))
        revisions.append(added(number, wanted, answers))
    meaning: dict[str, str] = {}
    for revision in revisions:
        assert set(revision.answers) == set(revision.definition.labels)
        assert len(set(revision.answers.values())) == len(revision.answers)
        for label, answer in revision.answers.items():
            assert meaning.setdefault(answer, label) == label
