"""Whether a training has gone wrong beyond repair, from its losses so far."""

from __future__ import annotations

import math
from collections.abc import Sequence

WATCHED_STEPS = 12
AS_BLIND_NATS = 0.05
"""As near to a blind guess: a model may have some more rows of tokens than its tokenizer has tokens."""


def why_to_end(losses: Sequence[float], grad_norm: float | None, vocabulary: int) -> str | None:
    """Why there is no use in going on; None if there is. `losses` in nats per answer token, one a step.

    A rate that is far too high takes the loss past that of a blind guess, ln(vocabulary), or right to it:
    where activations grow beyond any number their norm is 0, every token is as likely as any other and no
    gradient comes back. A base model of random weights begins there, and may take its time.
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
    before, last = losses[:-WATCHED_STEPS], losses[-WATCHED_STEPS:]
    if before and min(before) < blind - AS_BLIND_NATS <= min(last):
        return (
            f"for {WATCHED_STEPS} steps the loss has been no lower than {blind:.2f}, that of a blind guess: "
            "the weights have lost what the base model knew. Lower learning_rate, or lora_alpha where it was "
            "raised."
        )
    return None
