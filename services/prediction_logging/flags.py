"""Which predictions somebody should look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Self

from shared.events import FlagReason, PredictionLogged, WorkloadAdded
from shared.lots import Lots

NOBODY = b""
EVERYBODY = b"\xff" * 33  # longer than any digest, and so above all of them


@dataclass(frozen=True)
class FlagPolicy:
    """What a workload wants to have looked at, so that most predictions cost one hash to pass."""

    doubt_below: float
    drawn_below: bytes
    """Digests below this are drawn: a share of all."""
    lots: Lots

    @classmethod
    def of(cls, workload: WorkloadAdded, lots: Lots) -> Self:
        """A retired workload's sample is not drawn: nobody measures it any more."""
        review = workload.definition.review
        share = NOBODY if workload.is_retired else bound(review.audit_share)
        return cls(review.doubt_below, share, lots)

    def reasons(self, prediction: PredictionLogged) -> Sequence[FlagReason]:
        """Why this prediction is flagged; the same prediction gives the same reasons whenever it is asked."""
        is_doubted = prediction.confidence < self.doubt_below
        drawn = is_drawn(prediction.prediction_id, self.drawn_below, self.lots)
        if not is_doubted and not drawn:
            return ()
        return [FlagReason.DOUBTED] * is_doubted + [FlagReason.AUDIT] * drawn


def bound(share: float) -> bytes:
    """What that share of all digests is below."""
    if share <= 0 or share >= 1:
        return EVERYBODY if share >= 1 else NOBODY
    return ceil(share * 2.0**64).to_bytes(8, "big")


def is_drawn(prediction_id: str, drawn_below: bytes, lots: Lots) -> bool:
    """Nothing about the prediction bears on it, nor does whoever chose its id."""
    return bool(drawn_below) and lots.digest("audit", prediction_id) < drawn_below
