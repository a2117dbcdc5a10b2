"""How long a training will take: an estimate of seconds and minutes."""

from __future__ import annotations

from shared.training.defaults import plan
from shared.training.device import Device
from shared.training.plan import TrainingPlan
from shared.training.steps import rows_seen
from shared.workload import Workload

READING_PER_TRAINING = 2.5
"""A model reads 2.5 tokens in the time it trains on one (measured: 420 and 170 a second on two cores)."""
ADVERSARIAL_ROWS = 60
STARTING_JOBS_SECONDS = 40.0  # imports, redaction, merging


def training_seconds(planned: TrainingPlan, tokens_per_row: float, reading_tokens_per_second: float) -> float:
    """About how long all its steps take, where the model server reads so many tokens a second."""
    seen = rows_seen(
        planned.max_steps, planned.train_rows, planned.batch_size, planned.gradient_accumulation_steps
    )
    validated = planned.validation_rows * planned.max_steps / planned.steps_per_epoch
    return (seen * READING_PER_TRAINING + validated) * tokens_per_row / reading_tokens_per_second


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
    planned = plan(
        workload.training,
        rows=rows - held_out - golden,
        labels=len(workload.labels),
        tokens=round(tokens_per_row),
        base_model_size=0,  # which decides nothing that takes time
        device=Device(),
    )
    training = training_seconds(planned, tokens_per_row, reading_tokens_per_second)
    # The base model and the candidate answer held-out rows, the candidate golden and adversarial ones.
    asked = 2 * held_out + golden + ADVERSARIAL_ROWS
    evaluation = evaluation_seconds(asked, tokens_per_row, reading_tokens_per_second)
    return (training + evaluation + STARTING_JOBS_SECONDS) / 60
