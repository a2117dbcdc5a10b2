"""What counts as a failure: a doubted or disliked answer, until a reviewer says that it was right."""

from __future__ import annotations

from dataclasses import dataclass

from shared.events import FlagReason, PredictionFlagged


@dataclass(frozen=True)
class Failure:
    """A wrong answer, or one suspected to be wrong: then `right_answer` is empty."""

    prediction_id: str
    answer: str
    right_answer: str = ""


def is_suspicion(event: PredictionFlagged) -> bool:
    """Whether the flag says that something is wrong. An audit item was drawn by lot, which says nothing."""
    return event.reason is not FlagReason.AUDIT
