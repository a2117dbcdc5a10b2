"""The weights that are trained: whole where processes hold a part each, kept of the best epochs, put back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.distributed.tensor import DTensor

from services.retraining import processes

FOLDER, HALF, SUFFIX = "best", "half", ".safetensors"


def trained_weights(model: Any) -> dict[str, torch.Tensor]:
    """As the model holds them: under FSDP a part of each."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def whole_weights(model: Any) -> dict[str, torch.Tensor]:
    """On the CPU. Every process has to ask: each sends the others its part."""
    with torch.no_grad():
        return {name: _whole(weight).detach().cpu() for name, weight in trained_weights(model).items()}


def keep(model: Any, folder: Path, step: int, checkpoint_every: int) -> None:
    """Writes the weights of a best epoch, whole or not at all; the first process does.

    With them stay those that were best at the last checkpoint: whoever goes on from it may choose them.
    """
    weights = whole_weights(model)
    if not processes.is_first():
        return
    best = folder / FOLDER
    best.mkdir(exist_ok=True)
    save_file({name: weight.contiguous() for name, weight in weights.items()}, best / HALF)
    (best / HALF).rename(best / f"{step}{SUFFIX}")
    last_checkpoint = (step - 1) // checkpoint_every * checkpoint_every
    steps = {int(path.stem) for path in best.glob(f"*{SUFFIX}")}
    needed = {step, max((one for one in steps if one <= last_checkpoint), default=step)}
    for other in steps - needed:
        (best / f"{other}{SUFFIX}").unlink()


def kept(folder: Path, step: int) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = load_file(folder / FOLDER / f"{step}{SUFFIX}")
    return weights


def put_back(model: Any, weights: Mapping[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, weight in trained_weights(model).items():
            weight.copy_(weights[name])


def _whole(weight: torch.Tensor) -> torch.Tensor:
    return weight.full_tensor() if isinstance(weight, DTensor) else weight
