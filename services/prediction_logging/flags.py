"""Which predictions somebody should look at."""

from __future__ import annotations

import hashlib

from shared.events import FlagReason, PredictionLogged
from shared.workload import Review


def reasons(
    prediction: PredictionLogged, review: Review, *, disliked: bool, is_retired: bool = False
) -> list[FlagReason]:
    """Why this prediction is flagged; the same prediction gives the same reasons whenever it is asked.

    A retired workload's sample is not drawn: nobody measures it any more.
    """
    applies = {
        FlagReason.DOUBTED: prediction.confidence < review.doubt_below,
        FlagReason.DISLIKED: disliked,
        FlagReason.AUDIT: not is_retired and is_drawn(prediction.prediction_id, review.audit_share),
    }
    return [reason for reason, does in applies.items() if does]


def is_drawn(prediction_id: str, share: float) -> bool:
    """True for that share of all ids, drawn by hash: nothing about the prediction bears on it."""
    digest = hashlib.sha256(b"audit\x1f" + prediction_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2.0**64
