"""Whether two ways to serve one model answer alike: from what each says of the same rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Parity:
    rows: int
    differ: int
    """Rows that get another answer."""
    mean_difference: float
    """Of the first's answer's log-probability among the answers, in nats."""
    largest_difference: float

    @property
    def agreement(self) -> float:
        return 1 - self.differ / self.rows

    def __str__(self) -> str:
        return (
            f"{self.agreement:.1%} of {self.rows} rows get the same answer, whose log-probability differs by "
            f"{self.mean_difference:.3f} nats in the mean and by {self.largest_difference:.3f} at most"
        )


@dataclass(frozen=True)
class Tolerance:
    differing: float
    """Share of the rows that may get another answer; one row always may."""
    mean_difference: float

    def __str__(self) -> str:
        return f"{self.differing:.0%} other answers, {self.mean_difference:g} nats in the mean"

    def holds(self, parity: Parity) -> bool:
        return (
            parity.differ <= max(1, int(self.differing * parity.rows))
            and parity.mean_difference <= self.mean_difference  # which NaN is not
        )


MERGING = {"float32": Tolerance(0.0, 0.01), "bfloat16": Tolerance(0.05, 0.15)}
"""Of weights added in against weights beside, by what both compute in: bfloat16 has eight bits."""
EXTRACTED = Tolerance(0.02, 0.1)
"""Of an adapter that was made of a difference against the model that it was made of."""


def parity(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]], tie: float = 0.0) -> Parity:
    """Of two models' log-probabilities of the same answers, a row of them for each text.

    Two answers are a tie to the second that are at most `tie` nats apart there: either is the same answer.
    """
    differ, differences = 0, []
    for one, other in zip(first, second, strict=True):
        answer = max(range(len(one)), key=one.__getitem__)
        differ += not max(other) - other[answer] <= tie  # which NaN is not
        differences.append(abs(normalised(one)[answer] - normalised(other)[answer]))
    return Parity(len(differences), differ, sum(differences) / len(differences), max(differences))


def normalised(logprobs: Sequence[float]) -> list[float]:
    """The same among these answers only: their probabilities sum to 1."""
    most = max(logprobs)
    total = most + math.log(sum(math.exp(value - most) for value in logprobs))
    return [value - total for value in logprobs]
