"""Which rows go through the model together, and in which order."""

from __future__ import annotations

import random
from collections.abc import Sequence

STEPS_GROUPED = 16
"""Rows of so many steps are ordered by length among themselves: little padding, and still by chance."""


def batches(lengths: Sequence[int], rows_per_step: int, parts: int, steps: int, seed: int) -> list[list[int]]:
    """Row numbers of every batch of a training: each of the `steps` has its rows in so many `parts`.

    Every epoch holds every row once. It follows from the arguments alone, so that a training that goes on
    from a checkpoint reads what it would have read. `lengths` are the rows' tokens.
    """
    ordered: list[list[int]] = []
    epoch = 0
    while len(ordered) < steps * parts:
        chance = random.Random(f"{seed}-{epoch}")
        for rows in _epoch(lengths, rows_per_step, chance):
            ordered += _parts(rows, parts)
        epoch += 1
    return ordered[: steps * parts]


def _epoch(lengths: Sequence[int], rows_per_step: int, chance: random.Random) -> list[list[int]]:
    rows = list(range(len(lengths)))
    chance.shuffle(rows)
    window = STEPS_GROUPED * rows_per_step
    alike: list[int] = []
    for start in range(0, len(rows), window):
        alike += sorted(rows[start : start + window], key=lengths.__getitem__)
    steps = [alike[start : start + rows_per_step] for start in range(0, len(alike), rows_per_step)]
    chance.shuffle(steps)
    return steps


def _parts(rows: list[int], parts: int) -> list[list[int]]:
    """A step's rows in so many batches, none empty: fewer rows than batches are read again."""
    rows = rows + [rows[number % len(rows)] for number in range(parts - len(rows))]
    return [rows[part * len(rows) // parts : (part + 1) * len(rows) // parts] for part in range(parts)]
