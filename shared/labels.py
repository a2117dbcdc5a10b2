"""One token for each label, and what the tokens' log-probabilities say about the labels.

With one token per label one prefill answers a request, and the probabilities of all labels are exact.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product


class NoTokenLeft(Exception):
    """The tokenizer has fewer single-token codes than the workload has labels."""


@dataclass(frozen=True)
class LabelAnswer:
    """The model's answer as a label. `probabilities` are over the workload's labels and sum to 1."""

    label: str
    confidence: float
    probabilities: Mapping[str, float]


def candidate_answers(labels: Sequence[str]) -> list[str]:
    """Everything that `answers_for` may want to see as tokens."""
    return [*(f" {label}" for label in labels), *_codes()]


def answers_for(labels: Sequence[str], tokens_of: Callable[[str], Sequence[int]]) -> dict[str, str]:
    """What the model writes for each label, always one token and never the same twice.

    The labels' own names are used when each is one token; otherwise all get codes (" A", " B", …), so that
    no label is easier to write than another. `tokens_of` tokenises a string without special tokens.
    Raises NoTokenLeft.
    """
    names = {label: f" {label}" for label in labels}
    if _all_single_and_distinct(names.values(), tokens_of):
        return names
    codes = islice((code for code in _codes() if len(tokens_of(code)) == 1), len(labels))
    coded = dict(zip(labels, codes, strict=False))
    if len(coded) < len(labels):
        raise NoTokenLeft(
            f"{len(labels)} labels, but this model's tokenizer has only {len(coded)} one-token codes. "
            "Use fewer labels or another base model."
        )
    return coded


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


def _all_single_and_distinct(answers: Iterable[str], tokens_of: Callable[[str], Sequence[int]]) -> bool:
    tokens = [tuple(tokens_of(answer)) for answer in answers]
    return all(len(token) == 1 for token in tokens) and len(set(tokens)) == len(tokens)


def _codes() -> Iterator[str]:
    letters = string.ascii_uppercase + string.ascii_lowercase
    yield from (f" {letter}" for letter in letters)
    yield from (f" {a}{b}" for a, b in product(string.ascii_uppercase, repeat=2))
