"""The methods of training, a file each, read from top to bottom."""

from __future__ import annotations

from collections.abc import Callable

from services.retraining.training_outcome import Trained
from services.retraining.training_work import TrainingWork
from shared.training.section import Method


def method_named(name: Method) -> Callable[[TrainingWork], Trained]:
    """The function that trains by it. Each brings heavy libraries, so only the one is imported."""
    match name:
        case "lora":
            from services.retraining.methods.lora import train

            return train
        case "qlora":
            from services.retraining.methods.qlora import train as train_quantised

            return train_quantised
        case "full":
            from services.retraining.methods.full import train as train_all_weights

            return train_all_weights
        case "fusion":
            from services.retraining.methods.fusion import fuse

            return fuse
