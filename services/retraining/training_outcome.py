"""What a method of training gives back, and how it may end otherwise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Trained:
    final_loss: float
    """Mean loss of the last tenth of the steps, in nats per answer token."""
    eval_loss: float | None
    """Loss on the validation rows of what is in the folder; None without such rows."""
    steps: int
    """Optimiser steps done, those after the best epoch included."""
    best_step: int
    """The step whose weights are in the folder."""
    rows_seen: int
    """Rows read in all steps, each counted as often as it was read."""
    seconds: float
    """From the first start of this training, restarts included."""
    min_grad_norm: float
    notes: tuple[str, ...] = ()
    """How the adapter was made, where there is more to say than the settings: sentences for its card."""
    lora_r: int | None = None
    """The adapter's rank where it is not the plan's."""


@dataclass(frozen=True)
class MemoryTaken:
    """Gigabytes (1e9 bytes) of the device, or of the machine where that is the CPU."""

    peak: float
    """Measured: the most that the training's process had, from its start until the adapter was tried."""
    estimated: float | None
    """Counted before it began; None for a base model of unknown shape."""


class BaseModelMissing(Exception):
    """The base model cannot be loaded. The message says from where it was tried."""


class CannotTrain(Exception):
    """However often it is tried, nothing comes of it. Says why and what to do."""
