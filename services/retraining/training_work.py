"""What a method of training is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.retraining.training_rows import Example
from shared.adapters.contract import AdapterContract
from shared.training.plan import TrainingPlan


@dataclass(frozen=True)
class TrainingWork:
    examples: Sequence[Example]
    validation: Sequence[Example]
    """Never trained on; their loss chooses the best epoch. Empty: the last one is taken."""
    base_model: str
    """A folder, or a hub's id."""
    base_model_name: str
    plan: TrainingPlan
    checkpoint_every: int
    """Optimiser steps."""
    folder: Path
    """The same one when the training is started again: it goes on from the last checkpoint."""
    on_step: Callable[[int, float], None]
    """Told each optimiser step's number and loss."""
    on_evaluated: Callable[[int, float], None] = lambda step, loss: None
    """Told the loss on validation rows at the end of each epoch, with its step."""
    highest_rank: int = 64
    """The highest that the model server takes."""
    contract: AdapterContract | None = None
    """How the adapter will be asked, as far as it is known before."""
    adapters: Sequence[Path] = ()
    """Folders of the adapters that fusion is made of."""

    @property
    def adapter_folder(self) -> Path:
        """Where a method leaves the adapter."""
        return self.folder / "adapter"
