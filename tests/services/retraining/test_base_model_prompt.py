"""The base model is told what it may answer, and asked by the very prompt otherwise."""

from __future__ import annotations

from services.retraining.base_model_prompt import MOST_CHARACTERS, base_model_contract
from shared.adapters.contract import ContractLabel
from shared.adapters.label_contract import LabelContract
from tests.shared.adapters.example_contract import contract


def test_labels_are_listed_with_what_is_written_for_them_before_the_prompt() -> None:
    labels = (
        ContractLabel(label="refund", answer=" refund", token=1),
        ContractLabel(label="lost card", answer=" card", token=2),
        ContractLabel(label="other", answer=" C", token=3),
    )
    asked_by = base_model_contract(contract().model_copy(update={"labels": labels}))
    assert asked_by.before == "Answer with one of these:\n- refund\n- card: lost card\n- C: other\n\n"
    assert asked_by.after == "\nTeam:"
    assert dict(asked_by.token_of) == {"refund": 1, "lost card": 2, "other": 3}


def test_a_list_that_is_too_long_is_left_out() -> None:
    labels = tuple(
        ContractLabel(label=f"label number {number}", answer=f" {number}", token=number)
        for number in range(MOST_CHARACTERS // 15)
    )
    many = contract().model_copy(update={"labels": labels})
    assert base_model_contract(many) == LabelContract.of(many)
