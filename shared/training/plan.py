"""A training with every setting decided: what ran, as card, contract and events record it."""

from __future__ import annotations

from typing import Literal

from shared.fields import Part
from shared.training.device import Device
from shared.training.section import Combination, ComputeType, Method, Quantisation, Scheduler


class TrainingPlan(Part):
    method: Method
    device: Device
    base_model_size: int
    """Parameters of the base model."""
    rows: int
    """Rows of the dataset: those trained on and those that choose the best epoch."""
    validation_rows: int
    lora_r: int
    lora_alpha: int
    lora_dropout: float
    use_rslora: bool
    target_modules: Literal["all-linear"] | tuple[str, ...]
    epochs: float
    batch_size: int
    gradient_accumulation_steps: int
    steps_per_epoch: int
    max_steps: int
    """Optimiser steps of the whole training; early stopping may end it before."""
    learning_rate: float
    lr_scheduler_type: Scheduler
    warmup_steps: int
    weight_decay: float
    max_length: int
    use_4bit: bool
    bnb_4bit_quant_type: Quantisation
    bnb_4bit_use_double_quant: bool
    bnb_4bit_compute_dtype: ComputeType
    gradient_checkpointing: bool
    neftune_noise_alpha: float
    early_stopping_patience: int
    """0 where nothing is stopped early."""
    adapters: tuple[str, ...] = ()
    """What fusion makes one of; the four are empty for the other methods."""
    combination: Combination | None = None
    weights: tuple[float, ...] = ()
    density: float | None = None
    seed: int

    @property
    def train_rows(self) -> int:
        return self.rows - self.validation_rows

    @property
    def is_validated(self) -> bool:
        """Whether the best epoch is chosen by the loss on rows that are not trained on."""
        return self.validation_rows > 0
