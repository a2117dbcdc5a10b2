"""Which epoch was the best by its validation loss, and whether later ones are worth waiting for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def best_step(losses: Mapping[int, float]) -> int:
    """The step with the lowest validation loss, the earlier one of two. `losses` by step, at least one."""
    return min(losses, key=lambda step: (losses[step], step))


def is_over(losses: Mapping[int, float], patience: int) -> bool:
    """Whether `patience` evaluations in a row brought no lower loss; never with a patience of 0."""
    since = sum(step > best_step(losses) for step in losses) if losses else 0
    return 0 < patience <= since


def evaluations(history: Sequence[Mapping[str, float]]) -> dict[int, float]:
    """Step → loss on the validation rows, out of a trainer's log."""
    return {int(entry["step"]): entry["eval_loss"] for entry in history if "eval_loss" in entry}
