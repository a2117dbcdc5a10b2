"""The base model is told what it may answer, as fully as there is room for, and asked by the very prompt."""

from __future__ import annotations

import pytest

from services.retraining.base_model_prompt import (
    ANSWER,
    BESIDES,
    MOST_TOKENS,
    Listed,
    base_model_contract,
    listing,
    what_fits,
)
from shared.adapters.contract import AdapterContract, ContractLabel
from shared.adapters.label_contract import LabelContract
from tests.servers.adapters import token_ids, tokens_of
from tests.services.workloads.test_label_words import DISEASES, words
from tests.shared.adapters.example_contract import contract

CONTEXT = 8192
NAMES, WORDS, NOTHING = Listed


def of_labels(*labels: ContractLabel) -> AdapterContract:
    return contract().model_copy(update={"labels": labels})


def of_diseases(number: int) -> AdapterContract:
    answers = words(DISEASES[:number])
    tokens = tokens_of(answers)
    return of_labels(
        *(ContractLabel(label=label, answer=answer, token=tokens[label]) for label, answer in answers.items())
    )


def tokens_listed(asked: AdapterContract) -> dict[Listed, int]:
    return {listed: len(token_ids(listing(asked, listed))) for listed in (NAMES, WORDS)}


LABELS = (
    ContractLabel(label="refund", answer=" refund", token=1),
    ContractLabel(label="lost card", answer=" card", token=2),
    ContractLabel(label="other", answer=" C", token=3),
)


@pytest.mark.parametrize(
    ("listed", "before"),
    [
        (NAMES, "Answer with one of these:\n- refund\n- card: lost card\n- C: other\n\n"),
        (WORDS, "Answer with one of these:\nrefund, card, C\n\n"),
        (NOTHING, ""),
    ],
)
def test_what_is_listed_stands_before_the_very_prompt(listed: Listed, before: str) -> None:
    asked_by = base_model_contract(of_labels(*LABELS), listed)
    assert (asked_by.before, asked_by.after) == (before, "\nTeam:")
    assert dict(asked_by.token_of) == {"refund": 1, "lost card": 2, "other": 3}


@pytest.mark.parametrize(("number", "listed"), [(20, NAMES), (150, WORDS), (427, WORDS)])
def test_of_many_labels_the_words_alone_are_listed(number: int, listed: Listed) -> None:
    asked = of_diseases(number)
    assert what_fits(tokens_listed(asked), 200, CONTEXT) is listed
    said = listing(asked, WORDS)
    assert all(label.answer.strip() in said for label in asked.labels)


@pytest.mark.parametrize("number", [150, 427])
def test_words_are_listed_as_long_as_the_longest_text_has_room_beside_them(number: int) -> None:
    asked = of_diseases(number)
    tokens = tokens_listed(asked)
    longest = CONTEXT - tokens[WORDS] - ANSWER - BESIDES
    assert what_fits(tokens, longest, CONTEXT) is WORDS
    assert what_fits(tokens, longest + 1, CONTEXT) is NOTHING
    assert base_model_contract(asked, NOTHING) == LabelContract.of(asked)


def test_names_are_listed_up_to_a_length_that_small_models_read() -> None:
    assert what_fits({NAMES: MOST_TOKENS, WORDS: 300}, 100, CONTEXT) is NAMES
    assert what_fits({NAMES: MOST_TOKENS + 1, WORDS: 300}, 100, CONTEXT) is WORDS
    assert what_fits({NAMES: 400, WORDS: 300}, 100, 500) is WORDS
