"""What a training is like where its owner does not say: from rows, labels, tokens, base model and device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from shared.training.device import Device, Kind
from shared.training.plan import TrainingPlan
from shared.training.section import Combination, Method, Training
from shared.training.steps import steps, steps_per_epoch

LORA_R = 16
ROWS_PER_STEP = 16
TOKENS_AT_A_TIME: dict[Kind, int] = {"cpu": 4096, "cuda": 16384}
"""A batch of the longest rows has no more; more batches are accumulated to a step instead."""
MAX_LENGTH: dict[Kind, int] = {"cpu": 1024, "cuda": 2048}
EPOCHS, MOST_EPOCHS = 3.0, 8.0
FEWEST_STEPS, READINGS_OF_A_LABEL = 150, 100
"""Few rows are read more often, until there are so many steps, and each label was read about so often.

With 54 readings a champion of 77 labels is no better than a linear model, with 99 it is; early stopping ends
what learnt enough.
"""
SEED = 1
MOST_READINGS = 15_000
"""Many rows are read less often, but once."""
VALIDATION_SHARE = 0.1
FEWEST_FOR_VALIDATION, MOST_VALIDATION = 100, 200
"""Fewer rows than the first cannot spare any; more than the second say no more about an epoch."""
PATIENCE = 2
"""Epochs: with one, the noise of few validation rows ends a training before its rate has come down."""
LEARNING_RATE, OF_SIZE, FALLS_BY = 2e-3, 135e6, 0.583
FULL_SHARE = 0.05
WARMUP, WARMUP_FROM_STEPS = 0.03, 100
CHECKPOINTING_FROM_SIZE = 3e9
COMBINATION: Combination = "ties"
DENSITY = 0.5


def plan(
    training: Training,
    rows: int,
    labels: int,
    tokens: int,
    base_model_size: int,
    device: Device,
    context: int | None = None,
    validation_rows: int | None = None,
) -> TrainingPlan:
    """Every setting: the owner's where he said it, otherwise decided here.

    `rows` and `labels` of the dataset; `tokens` of its longest row with prompt and answer;
    `base_model_size` in parameters; `context` is the longest that the base model reads;
    `validation_rows` are those that were kept, where that is known already.
    """
    method: Method = training.method or ("qlora" if training.use_4bit else "lora")
    max_length = min(training.max_length or MAX_LENGTH[device.kind], context or 10**9)
    batch_size, accumulated = _batches(training, min(tokens, max_length), device)
    if validation_rows is None:
        validation_rows = validated(rows, training.validation_share)
    per_epoch = steps_per_epoch(rows - validation_rows, batch_size, accumulated)
    epochs = training.epochs or _epochs(rows - validation_rows, labels, per_epoch)
    max_steps = steps(epochs, per_epoch, training.max_steps)
    lora_r = training.lora_r or LORA_R
    if method == "fusion":  # which is done at once
        epochs, max_steps = 0.0, 0
    return TrainingPlan(
        method=method,
        device=device,
        base_model_size=base_model_size,
        rows=rows,
        validation_rows=validation_rows,
        lora_r=lora_r,
        lora_alpha=training.lora_alpha or 2 * lora_r,
        lora_dropout=training.lora_dropout or 0.0,
        use_rslora=bool(training.use_rslora),
        target_modules=training.target_modules or "all-linear",
        epochs=epochs,
        batch_size=batch_size,
        gradient_accumulation_steps=accumulated,
        steps_per_epoch=per_epoch,
        max_steps=max_steps,
        learning_rate=training.learning_rate or learning_rate(base_model_size, method),
        lr_scheduler_type=training.lr_scheduler_type or "linear",
        warmup_steps=_warmup(training, max_steps),
        weight_decay=training.weight_decay or 0.0,
        max_length=max_length,
        use_4bit=method == "qlora",
        bnb_4bit_quant_type=training.bnb_4bit_quant_type or "nf4",
        bnb_4bit_use_double_quant=training.bnb_4bit_use_double_quant is not False,
        bnb_4bit_compute_dtype=training.bnb_4bit_compute_dtype or device.dtype,
        gradient_checkpointing=(
            base_model_size >= CHECKPOINTING_FROM_SIZE
            if training.gradient_checkpointing is None
            else training.gradient_checkpointing
        ),
        neftune_noise_alpha=training.neftune_noise_alpha or 0.0,
        early_stopping_patience=_patience(training.early_stopping_patience, validation_rows),
        seed=seed(training),
        **_fusion(training),
    )


def _fusion(training: Training) -> dict[str, Any]:
    """TIES with half of the entries lost least of what was tried; see docs/training.md."""
    if training.method != "fusion":
        return {}
    how, adapters = training.combination or COMBINATION, training.adapters or ()
    return {
        "adapters": adapters,
        "combination": how,
        "weights": shares(how, training.weights or (), len(adapters)),
        "density": None if how in ("linear", "svd") else training.density or DENSITY,
    }


def shares(how: Combination, said: Sequence[float], adapters: int) -> tuple[float, ...]:
    """How much of each adapter goes in: what the owner said, else all alike.

    TIES divides by how many agree on an entry, so there every adapter counts whole. Empty where none is named
    yet: `tuneloop train` may name them.
    """
    return tuple(said) or (1.0 if how in ("ties", "dare_ties") else 1 / max(1, adapters),) * adapters


def learning_rate(base_model_size: int, method: Method) -> float:
    """2e-3 for 135 million parameters and 2e-4 for seven billion, on a line through both in logarithms.

    A training of all weights wants about a twentieth. Two significant digits.
    """
    rate = LEARNING_RATE * (max(1, base_model_size) / OF_SIZE) ** -FALLS_BY
    rate = min(rate, LEARNING_RATE) * (FULL_SHARE if method == "full" else 1)
    return float(f"{rate:.1e}")


def validated(rows: int, share: float | None) -> int:
    """How many rows are kept from training to choose the best epoch."""
    if share is not None:
        return min(rows - 1, round(share * rows))
    return 0 if rows < FEWEST_FOR_VALIDATION else min(MOST_VALIDATION, round(VALIDATION_SHARE * rows))


def seed(training: Training) -> int:
    return SEED if training.seed is None else training.seed


def _epochs(rows: int, labels: int, per_epoch: int) -> float:
    """Three; more of them for few rows, fewer for many."""
    enough = max(1.0, min(EPOCHS, MOST_READINGS / rows))
    wanted = max(enough, FEWEST_STEPS / per_epoch, READINGS_OF_A_LABEL * labels / rows)
    return round(min(MOST_EPOCHS, wanted), 2)


def _batches(training: Training, tokens: int, device: Device) -> tuple[int, int]:
    """Rows at a time, and how many times to an optimiser step, which is sixteen rows if nobody says."""
    fit = 2 ** int(math.log2(max(1, TOKENS_AT_A_TIME[device.kind] // max(1, tokens))))
    given = training.gradient_accumulation_steps
    batch_size = training.batch_size or max(1, min(fit, ROWS_PER_STEP // (given or 1)))
    return batch_size, given or (1 if training.batch_size else max(1, ROWS_PER_STEP // batch_size))


def _warmup(training: Training, max_steps: int) -> int:
    if training.warmup_steps is not None:
        return min(training.warmup_steps, max_steps)
    if training.warmup_ratio is not None:
        return round(training.warmup_ratio * max_steps)
    return round(WARMUP * max_steps) if max_steps >= WARMUP_FROM_STEPS else 0


def _patience(given: int | None, validation_rows: int) -> int:
    if validation_rows == 0:
        return 0
    return PATIENCE if given is None else given
