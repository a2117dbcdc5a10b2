"""Whether a training has learnt anything: its answers on rows that it never saw, against labels dealt anew.

A permutation test (Fisher 1935). Where nothing of the texts was learnt, as of rows under other rows' labels,
the labels that the rows have are no better than any order of the same labels, however sure the answers are
and however often each label occurs. So such a training leaves no doubt with a probability of CHANCE.

A refusal throws a training away. So it takes a p-value that hardly any model of worth would have, one that
finds WEAK of each label's rows; what lies between is a warning. Drawn 600 times for each of twenty sets of
labels, such models were refused in 0 to 2 of 100 trainings, equally sure of all answers or surer where they
were right; where how sure they were said nothing, and differed much, in up to 13 (ninety rows, two labels).
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist

CHANCE = 0.05
DEALS = 999
WEAK = 0.7
"""Share of each label's rows that the weakest model worth keeping finds; the rest it takes for any other."""
REFUSED = 0.01
EVIDENCE = 20
"""A refusal has to be so many times as likely of what learnt nothing as of a weak model."""


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


def highest_of_weak(labels: Sequence[int]) -> float:
    """The p-value that a weak model on rows of these labels has or exceeds with a probability of REFUSED.

    The statistic of answers that are all equally sure is how many are right. Its mean and variance over the
    labels' orders are those of Hoeffding (1951, A combinatorial central limit theorem), over a weak model's
    answers those of independent rows; both are taken as normal, with one right answer fewer, for they come
    in whole ones. Two even labels give 0.78 for twenty rows, 0.24 for sixty and 0.05 for about a hundred;
    29 rows of ten labels 5e-11. It is 1.0 where there is one label.
    """
    rows, counts = len(labels), list(Counter(labels).values())
    if len(counts) < 2:
        return 1.0
    answered = [WEAK * count + _astray(rows - count, counts) for count in counts]
    ahead = variance = 0.0
    for label, count in enumerate(counts):
        of_label = [
            (WEAK if each == label else _astray(1, counts), (each == label) - other / rows)
            for each, other in enumerate(counts)
        ]
        mean = sum(share * gain for share, gain in of_label)
        ahead += count * mean
        variance += count * (sum(share * gain**2 for share, gain in of_label) - mean**2)
    right = sum(a * b for a, b in zip(answered, counts, strict=True))
    pairs = sum(a * b * (a + b) for a, b in zip(answered, counts, strict=True))
    of_orders = (right - pairs / rows + (right / rows) ** 2) / (rows - 1)
    normal = NormalDist()
    least = ahead - 1 + normal.inv_cdf(REFUSED) * math.sqrt(variance)
    return normal.cdf(-least / math.sqrt(of_orders))


def is_guessing(as_good: float, labels: Sequence[int]) -> bool:
    """Whether a p-value on rows of these labels is that of guessing, and hardly of a weak model."""
    highest = highest_of_weak(labels)
    return as_good > max(CHANCE, highest) and 1 - highest >= EVIDENCE * REFUSED


def why_not_learnt(as_good: float, labels: Sequence[int]) -> list[str]:
    """What is wrong with what was learnt, where the rows tell."""
    if not is_guessing(as_good, labels):
        return []
    return [
        f"it has learnt nothing: its answers on {len(labels)} validation rows fit these rows' labels no "
        f"better than {as_good:.0%} of the other orders of them, which is guessing. Look whether the rows' "
        "labels are those of their texts, or lower learning_rate where it was raised"
    ]


def doubts(as_good: float, labels: Sequence[int]) -> list[str]:
    """What an owner should know where too few rows were kept from training to tell."""
    if as_good <= CHANCE or is_guessing(as_good, labels):
        return []
    return [
        f"Nothing says that it learnt: {len(labels)} validation rows are too few. Add rows, or raise "
        "training.validation_share."
    ]


def _astray(rows: int, counts: Sequence[int]) -> float:
    """A weak model's wrong answers on so many rows, those that are one certain other label."""
    return rows * (1 - WEAK) / (len(counts) - 1)


def _sum(logprobs: Sequence[Sequence[float]], labels: Sequence[int]) -> float:
    return sum(row[label] for row, label in zip(logprobs, labels, strict=True))
