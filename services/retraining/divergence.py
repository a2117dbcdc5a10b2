"""Whether a training has gone wrong beyond repair, from its losses so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

WATCHED_STEPS = 12


def why_to_end(losses: Sequence[float], grad_norm: float | None, vocabulary: int) -> str | None:
    """Why there is no use in going on; None if there is. `losses` in nats per answer token, one a step.

    A loss above that of a blind guess among all tokens, ln(vocabulary), is normal at the start only.
    """
    if not math.isfinite(losses[-1]):
        return (
            f"the loss of step {len(losses)} is {losses[-1]}: the base model holds numbers that are none, or "
            "the learning rate is far too high. Check the base model's files, then lower learning_rate."
        )
    if grad_norm is not None and not math.isfinite(grad_norm):
        return (
            f"the gradient of step {len(losses)} is {grad_norm}. Lower learning_rate, or check the base "
            "model's files."
        )
    blind = math.log(vocabulary)
    last = losses[-WATCHED_STEPS:]
    if len(losses) >= 2 * WATCHED_STEPS and median(last) > max(blind, losses[0]):
        return (
            f"the loss rose from {losses[0]:.2f} to {median(last):.2f}, which is worse than guessing "
            "blindly. Lower learning_rate."
        )
    return None
