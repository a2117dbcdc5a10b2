"""Whether a training has learnt anything: its answers on rows that it never saw, against labels dealt anew.

A permutation test (Fisher 1935). Where nothing of the texts was learnt, as of rows under other rows' labels,
the labels that the rows have are no better than any order of the same labels, however sure the answers are
and however often each label occurs. So such a training passes with a probability of CHANCE, and a good one
nearly always: an order that fits better than the right one has to come by accident.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

CHANCE = 0.05
DEALS = 999
FEWEST_ORDERS = 30_000
"""With fewer orders of the labels a good training may well be no better than one in twenty of them."""


def share_as_good(logprobs: Sequence[Sequence[float]], labels: Sequence[int]) -> float:
    """Share of the labels' orders that fit the answers as well as their own does: the test's p-value.

    `logprobs`: every label's, of each row, in nats; `labels`: each row's place among them. By DEALS orders
    that follow from the number of rows alone, so that the same answers are always judged alike.
    """
    own = _sum(logprobs, labels)
    chance, dealt = random.Random(len(labels)), list(labels)
    as_good = 1
    for _ in range(DEALS):
        chance.shuffle(dealt)
        as_good += _sum(logprobs, dealt) >= own - 1e-9 * abs(own)
    return as_good / (DEALS + 1)


def can_tell(labels: Sequence[int]) -> bool:
    """Whether rows of these labels tell a good training from guessing.

    Eighteen rows of two labels do, ten of five, and twenty-three of two of which one is four times as common.
    """
    orders = math.lgamma(len(labels) + 1) - sum(math.lgamma(n + 1) for n in Counter(labels).values())
    return orders >= math.log(FEWEST_ORDERS)


def why_not_learnt(as_good: float, labels: Sequence[int]) -> list[str]:
    """What is wrong with what was learnt, where the rows tell."""
    if as_good <= CHANCE or not can_tell(labels):
        return []
    return [
        f"it has learnt nothing: its answers on {len(labels)} validation rows fit these rows' labels no "
        f"better than {as_good:.0%} of the other orders of them, which is guessing. Look whether the rows' "
        "labels are those of their texts, or lower learning_rate where it was raised"
    ]


def doubts(as_good: float, labels: Sequence[int]) -> list[str]:
    """What an owner should know where too few rows were kept from training to tell."""
    if as_good <= CHANCE or can_tell(labels):
        return []
    return [
        f"Nothing says that it learnt: {len(labels)} validation rows are too few. Add rows, or raise "
        "training.validation_share."
    ]


def _sum(logprobs: Sequence[Sequence[float]], labels: Sequence[int]) -> float:
    return sum(row[label] for row, label in zip(logprobs, labels, strict=True))
