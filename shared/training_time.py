"""How long a training will take: optimiser steps, and an estimate of seconds and minutes."""

from __future__ import annotations

import math

from shared.workload import Training, Workload

READING_PER_TRAINING = 2.5
"""A model reads 2.5 tokens in the time it trains on one (measured: 420 and 170 a second on two cores)."""
ADVERSARIAL_ROWS = 60
STARTING_JOBS_SECONDS = 40.0  # imports, redaction, merging


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


def expected_minutes(
    workload: Workload, rows: int, tokens_per_row: float, reading_tokens_per_second: float
) -> float:
    """About how long it is from `rows` labelled rows to the first judged model.

    That is training, then answers to the rows that judge it; the model server reads so many tokens a second.
    """
    held_out = min(workload.split.held_out, rows // 5)
    golden = min(workload.split.golden, rows // 5)
    training = training_seconds(
        rows - held_out - golden, tokens_per_row, workload.training, reading_tokens_per_second
    )
    # The base model and the candidate answer held-out rows, the candidate golden and adversarial ones.
    asked = 2 * held_out + golden + ADVERSARIAL_ROWS
    evaluation = evaluation_seconds(asked, tokens_per_row, reading_tokens_per_second)
    return (training + evaluation + STARTING_JOBS_SECONDS) / 60
