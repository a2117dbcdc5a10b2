"""How the untouched base model is asked: told first what it may answer, or its figure would say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from shared.adapters.contract import AdapterContract, ContractLabel
from shared.adapters.label_contract import LabelContract

MOST_TOKENS = 1000
"""Of the list with the labels' names: a longer one costs more than all texts together, and few small models
read to its end."""
ANSWER = 1
BESIDES = 8
"""Tokens of a prompt that none of its parts has: special ones, and what comes of joining the parts."""


class Listed(StrEnum):
    """What the base model is told of its labels."""

    NAMES = "names"
    """What is written for each label, and its name where that is another."""
    WORDS = "words"
    """What is written for them alone."""
    NOTHING = "nothing"


def listing(contract: AdapterContract, listed: Listed) -> str:
    """What stands before the very prompt that the adapter was trained on."""
    match listed:
        case Listed.NAMES:
            said = "".join(f"{_line(label)}\n" for label in contract.labels)
        case Listed.WORDS:
            said = f"{', '.join(label.answer.strip() for label in contract.labels)}\n"
        case Listed.NOTHING:
            return ""
    return f"Answer with one of these:\n{said}\n"


def what_fits(tokens: Mapping[Listed, int], longest: int, context: int) -> Listed:
    """The most that may be listed, all in tokens.

    `tokens`: of the listings; `longest`: of the prompt with the longest text, without any; `context`: of the
    base model as it is served.
    """
    room = context - longest - ANSWER - BESIDES
    if tokens[Listed.NAMES] <= min(room, MOST_TOKENS):
        return Listed.NAMES
    return Listed.WORDS if tokens[Listed.WORDS] <= room else Listed.NOTHING


def base_model_contract(contract: AdapterContract, listed: Listed) -> LabelContract:
    asked_by = LabelContract.of(contract)
    return replace(asked_by, before=f"{listing(contract, listed)}{asked_by.before}")


def _line(label: ContractLabel) -> str:
    """`refund`, or `A: refund` where what is written is not the label's name."""
    answer = label.answer.strip()
    return f"- {answer}" if answer == label.label else f"- {answer}: {label.label}"
