"""How long a training will be: optimiser steps, and an estimate of seconds."""

from __future__ import annotations

import math

from shared.workload import Training

READING_PER_TRAINING = 2.5
"""A model reads 2.5 tokens in the time it trains on one (measured: 420 and 170 a second on two cores)."""


def steps(rows: int, training: Training) -> int:
    """Optimiser steps for a dataset of `rows`: its epochs, but at most `max_steps` and at least one."""
    per_epoch = math.ceil(rows / training.batch_size)
    return max(1, min(training.max_steps, math.ceil(training.epochs * per_epoch)))


def training_seconds(
    rows: int, tokens_per_row: float, training: Training, reading_tokens_per_second: float
) -> float:
    """About how long training takes, where the model server reads so many tokens per second."""
    seen = min(steps(rows, training) * training.batch_size, training.epochs * rows)
    return seen * tokens_per_row * READING_PER_TRAINING / reading_tokens_per_second


def evaluation_seconds(rows: int, tokens_per_row: float, reading_tokens_per_second: float) -> float:
    """About how long one model takes to answer so many rows."""
    return rows * tokens_per_row / reading_tokens_per_second
