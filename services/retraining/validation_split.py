"""Which training rows are not trained on and choose the best epoch."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
_DIGITS, _BETWEEN_WORDS = re.compile(r"\d+"), re.compile(r"\W+")


def split(rows: Sequence[Row], wanted: int, seed: int) -> tuple[list[Row], list[Row]]:
    """Rows {"text", "label"} to train on, and about `wanted` others, each label by its share of all rows.

    Texts that differ only in numbers, case or punctuation stay on one side: the loss would otherwise say how
    well they were learnt by heart. A label whose rows are all alike is trained on as a whole.
    """
    chance = random.Random(f"validation-{seed}")
    kept: set[int] = set()
    quotas = _quotas([row["label"] for row in rows], wanted)
    for label, alike in _alike(rows).items():
        groups = sorted(alike.values())
        chance.shuffle(groups)
        left = quotas[label]
        for group in groups[1:]:
            if len(group) <= left:
                kept.update(group)
                left -= len(group)
    trained = [row for number, row in enumerate(rows) if number not in kept]
    return trained, [row for number, row in enumerate(rows) if number in kept]


def _alike(rows: Sequence[Row]) -> dict[str, dict[str, list[int]]]:
    """Label → what is left of a text without numbers, case and punctuation → the rows' numbers."""
    by_label: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    label_of: dict[str, str] = {}
    for number, row in enumerate(rows):
        text = _BETWEEN_WORDS.sub(" ", _DIGITS.sub("0", row["text"].casefold())).strip()
        label = label_of.setdefault(text, row["label"])  # one text under two labels: one group all the same
        by_label[label][text].append(number)
    return by_label


def _quotas(labels: Sequence[str], wanted: int) -> dict[str, int]:
    """`wanted` shared out by the labels' shares, largest remainders first."""
    counts = {label: labels.count(label) for label in sorted(set(labels))}
    exact = {label: wanted * count / len(labels) for label, count in counts.items()}
    quotas = {label: int(share) for label, share in exact.items()}
    by_remainder = sorted(exact, key=lambda label: quotas[label] - exact[label])
    for label in by_remainder[: wanted - sum(quotas.values())]:
        quotas[label] += 1
    return quotas
