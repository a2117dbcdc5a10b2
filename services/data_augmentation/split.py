"""Sets golden and held-out rows apart, once and for ever, by labels and a hash: never by a model's answers.

Rows that are exact copies, or near-identical with one label, always stay on the same side.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.data_augmentation.rows import Row
from services.data_augmentation.similarity import near_pairs, normalised

LARGEST_SHARE = 5  # each judging set takes at most one fifth of the rows, of a label as of all


@dataclass(frozen=True)
class Split:
    golden: list[Row]
    held_out: list[Row]
    train: list[Row]


def newest_of_each(rows: Iterable[Row]) -> list[Row]:
    """One row per exact text (see `normalised`), in order; of several the last, so the newest, stays."""
    by_text: dict[str, Row] = {}
    for row in rows:
        key = normalised(row.text)
        by_text.pop(key, None)
        by_text[key] = row
    return list(by_text.values())


def split(rows: Sequence[Row], golden: int, held_out: int, seed: str) -> Split:
    """Splits rows into at most `golden` and `held_out` rows, and the rest for training.

    Where the rows say themselves which are golden or held-out, those are, and no others of that kind are
    chosen. Labels keep their shares; a label with fewer than five rows is only trained on. The same rows in
    any order, with the same seed, give the same split. Texts must be unique among rows without a split.
    """
    fixed = {name: [row for row in rows if row.split == name] for name in ("golden", "held_out")}
    free = [row for row in rows if row.split is None]
    most = len(rows) // LARGEST_SHARE
    wanted = {
        "golden": 0 if fixed["golden"] else min(golden, most),
        "held_out": 0 if fixed["held_out"] else min(held_out, most),
    }
    counts: dict[str, int] = defaultdict(int)
    groups: dict[str, list[list[Row]]] = defaultdict(list)
    for group in _groups(free, seed):
        groups[group[0].label].append(group)
        counts[group[0].label] += len(group)
    chosen = dict(fixed)
    for name, size in wanted.items():
        for label, quota in _quotas(counts, size).items():
            taken, groups[label] = _take(groups[label], quota)
            chosen[name] = chosen[name] + taken
    rest = [row for row in rows if row.split == "train"]
    rest += [row for label in sorted(groups) for group in groups[label] for row in group]
    return Split(
        _in_order(chosen["golden"], seed), _in_order(chosen["held_out"], seed), _in_order(rest, seed)
    )


def _groups(rows: Sequence[Row], seed: str) -> list[list[Row]]:
    """Rows that must stay together, in an order that the seed alone decides."""
    by_label: dict[str, list[Row]] = defaultdict(list)
    for row in _in_order(rows, seed):
        by_label[row.label].append(row)
    groups = []
    for label in sorted(by_label):
        texts = [row.text for row in by_label[label]]
        leader = list(range(len(texts)))

        def leader_of(number: int, leader: list[int] = leader) -> int:
            while leader[number] != number:
                leader[number] = leader[leader[number]]
                number = leader[number]
            return number

        for i, j in near_pairs(texts):
            a, b = leader_of(i), leader_of(j)
            leader[max(a, b)] = min(a, b)
        together: dict[int, list[Row]] = defaultdict(list)
        for number, row in enumerate(by_label[label]):
            together[leader_of(number)].append(row)
        groups += list(together.values())
    return groups


def _quotas(counts: Mapping[str, int], size: int) -> dict[str, int]:
    """How many rows each label gives: by its share, largest remainders first, never over a fifth of it."""
    total = sum(counts.values())
    if not total:
        return {}
    exact = {label: size * count / total for label, count in counts.items()}
    quota = {label: min(int(share), counts[label] // LARGEST_SHARE) for label, share in exact.items()}
    by_remainder = sorted(counts, key=lambda label: (quota[label] - exact[label], label))
    for label in by_remainder:
        if sum(quota.values()) < size and quota[label] < counts[label] // LARGEST_SHARE:
            quota[label] += 1
    return quota


def _take(groups: Sequence[list[Row]], quota: int) -> tuple[list[Row], list[list[Row]]]:
    taken: list[Row] = []
    left: list[list[Row]] = []
    for group in groups:
        if len(taken) + len(group) <= quota:
            taken += group
        else:
            left.append(group)
    return taken, left


def _in_order(rows: Iterable[Row], seed: str) -> list[Row]:
    def place(row: Row) -> tuple[str, str]:
        key = f"{seed}\0{normalised(row.text)}\0{row.label}"
        return hashlib.sha256(key.encode()).hexdigest(), row.text

    return sorted(rows, key=place)
