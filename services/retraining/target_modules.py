"""Which linear layers are trained. PEFT passes over a name that is not there, as long as another one is."""

from __future__ import annotations

from collections.abc import Sequence

Targets = str | Sequence[str]
"""A text stands for all linear layers; else each is a layer's name, or the end of it after a dot."""


def is_targeted(layer: str, targets: Targets) -> bool:
    return isinstance(targets, str) or any(f".{layer}".endswith(f".{target}") for target in targets)


def why_no_targets(targets: Targets, linear_layers: Sequence[str]) -> str | None:
    """Why not all that is named can be trained; None if it can."""
    if isinstance(targets, str):
        return None
    missing = [
        target for target in targets if not any(is_targeted(layer, (target,)) for layer in linear_layers)
    ]
    if not missing:
        return None
    there = sorted({layer.rpartition(".")[2] for layer in linear_layers})
    return (
        f"training.target_modules names {', '.join(missing)}, and the base model's linear layers are "
        f"{', '.join(there)}. Name some of these, or leave it out and all are trained."
    )
