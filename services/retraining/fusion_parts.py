"""Which adapters may be fused: those of one base model that are asked the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.retraining.training_outcome import CannotTrain
from shared.adapters.contract import AdapterContract
from shared.training.section import FEWEST_TO_FUSE, Training


def with_its_adapters(training: Training, known: Sequence[str]) -> Training:
    """The section, naming the adapters that were asked for and found. Raises CannotTrain."""
    if training.method != "fusion":
        return training
    missing = [name for name in training.adapters or () if name not in known]
    if len(known) < FEWEST_TO_FUSE or (missing and len(known) < len(training.adapters or ())):
        raise CannotTrain(
            f"a fusion is made of two adapters or more of this workload, and it has {len(known)} of those "
            f"named{': not ' + ', '.join(missing) if missing else ''}. See: tuneloop adapters list"
        )
    return training.model_copy(update={"adapters": tuple(known)})


def differences(contracts: Sequence[AdapterContract]) -> list[str]:
    """What these contracts do not have in common of what makes adapters one model's, in words.

    A digest that one of them does not know is no difference.
    """
    found = []
    for named, read in (
        ("the base model", lambda each: each.base_model),
        ("the base model's weights", lambda each: each.base_model_digest),
        ("the tokenizer", lambda each: each.tokenizer_digest),
        ("the prompt", lambda each: each.prompt),
        ("the labels", lambda each: frozenset(each.label_names)),
    ):
        values = {read(each) for each in contracts} - {None}
        if len(values) > 1:
            found.append(f"{named}{_told(values)}")
    if not any(said.startswith("the labels") for said in found):
        moved = [
            label
            for label in contracts[0].label_names
            if len({each.token_of[label] for each in contracts}) > 1
        ]
        if moved:
            found.append(f"the tokens of the labels ({', '.join(sorted(moved))})")
    return found


def _told(values: set[Any]) -> str:
    """The values where they are short enough to be read."""
    if all(isinstance(value, str) and len(value) <= 60 for value in values):
        return f" ({', '.join(map(repr, sorted(values)))})"
    if all(isinstance(value, frozenset) for value in values):
        every, common = frozenset.union(*values), frozenset.intersection(*values)
        return f" ({', '.join(sorted(every - common))})"
    return ""
