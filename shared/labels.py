"""What the log-probabilities of the labels' tokens say about the labels.

With one token per label one prefill answers a request, and the probabilities of all labels are exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class LabelAnswer:
    """The model's answer as a label. `probabilities` are over the workload's labels and sum to 1."""

    label: str
    confidence: float
    probabilities: Mapping[str, float]


def label_answer(logprobs: Mapping[int, float], token_of: Mapping[str, int]) -> LabelAnswer:
    """The answer from token → log-probability (natural logarithm), normalised over the labels' tokens.

    A label whose token the server did not return counts as impossible. Ties go to the label that stands
    first in the workload. Raises ValueError if no label's token was returned.
    """
    weights = {
        label: math.exp(logprobs[token]) if token in logprobs else 0.0 for label, token in token_of.items()
    }
    total = sum(weights.values())
    if not total > 0:
        raise ValueError("the model server returned no label's token: ask it for at least as many logprobs")
    probabilities = {label: weight / total for label, weight in weights.items()}
    label = max(probabilities, key=lambda name: probabilities[name])
    return LabelAnswer(label, probabilities[label], probabilities)
