"""An adapter's contract: what it holds, and that it is read as it was written."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from shared.adapters.contract import AdapterContract
from tests.shared.adapters.example_contract import ADDED, TOKENS, contract


def test_it_holds_what_the_revision_says_in_its_order() -> None:
    made = contract()
    assert (made.workload, made.revision, made.prompt) == ("tickets", 3, ADDED.definition.prompt)
    assert list(made.token_of.items()) == [("refund", 11), ("outage", 12), ("other", 13)]
    assert [label.answer for label in made.labels] == [" A", " B", " C"]
    assert made.redaction.entities == ADDED.definition.privacy.entities


def test_it_is_read_as_it_was_written_and_equal_contracts_have_equal_bytes() -> None:
    assert AdapterContract.read(contract().written()) == contract()
    other_order = dict(reversed(TOKENS.items()))
    again = AdapterContract.of(
        ADDED, other_order, dataset_id="d1", lora_r=16, training={"learning_rate": 0.002}
    )
    assert again.written() == contract().written()


def test_a_field_of_a_later_version_is_no_reason_not_to_read_it() -> None:
    said = json.loads(contract().written()) | {"generation": {"max_new_tokens": 8}}
    assert AdapterContract.read(json.dumps(said).encode()) == contract()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"format": 2}, id="a format of later"),
        pytest.param({"prompt": "Team:"}, id="a prompt without a place for the text"),
        pytest.param({"labels": []}, id="no labels"),
        pytest.param(
            {"labels": [{"label": name, "answer": " A", "token": 11} for name in ("refund", "outage")]},
            id="two labels on one token",
        ),
        pytest.param(
            {"labels": [{"label": "refund", "answer": " A", "token": token} for token in (11, 12)]},
            id="one label twice",
        ),
    ],
)
def test_what_says_no_one_thing_is_no_contract(change: dict[str, object]) -> None:
    said = json.loads(contract().written()) | change
    with pytest.raises(ValidationError):
        AdapterContract.read(json.dumps(said).encode())


def test_what_is_no_json_is_no_contract() -> None:
    with pytest.raises(ValidationError):
        AdapterContract.read(b"half writ")


def test_a_label_without_a_token_has_no_contract() -> None:
    with pytest.raises(KeyError):
        AdapterContract.of(ADDED, {"refund": 11}, dataset_id="d1", lora_r=16)
