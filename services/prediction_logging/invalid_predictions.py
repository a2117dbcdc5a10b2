"""Events that are well formed and still cannot be kept: with no label of their workload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Answered(Protocol):
    """A prediction, by whatever it was read."""

    @property
    def answer(self) -> str: ...
    @property
    def probabilities(self) -> Mapping[str, float] | None: ...


def why_invalid(prediction: Answered, labels: frozenset[str]) -> str | None:
    """Why it cannot be kept, naming fields and never values; None if it can.

    `labels` are those of the revision that it was made under, former ones included.
    """
    if prediction.answer not in labels:
        return "answer: is no label of the workload"
    if prediction.probabilities and not labels.issuperset(prediction.probabilities):
        return "probabilities: hold a name that is no label of the workload"
    return None
