"""How the untouched base model is asked: told first what it may answer, or its figure would say nothing."""

from __future__ import annotations

from dataclasses import replace

from shared.adapters.contract import AdapterContract, ContractLabel
from shared.adapters.label_contract import LabelContract

MOST_CHARACTERS = 4000
"""A longer list costs more than all texts together, and few small models read to its end."""


def base_model_contract(contract: AdapterContract) -> LabelContract:
    """The labels' list, what is written for each, then the very prompt that the adapter was trained on.

    Where the list would be too long the prompt stands alone.
    """
    asked_by = LabelContract.of(contract)
    listed = "".join(f"{_line(label)}\n" for label in contract.labels)
    if len(listed) > MOST_CHARACTERS:
        return asked_by
    return replace(asked_by, before=f"Answer with one of these:\n{listed}\n{asked_by.before}")


def _line(label: ContractLabel) -> str:
    """`refund`, or `A: refund` where what is written is not the label's name."""
    answer = label.answer.strip()
    return f"- {answer}" if answer == label.label else f"- {answer}: {label.label}"
