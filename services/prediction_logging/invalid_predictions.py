"""Events that are well formed and still cannot be kept: with no label of their workload, or out of range."""

from __future__ import annotations

from datetime import datetime

from shared.events import FeedbackGiven, PredictionLogged, WorkloadAdded

MOST_TOKENS = 2**32 - 1
MOST_LATENCY_MS = 1e9


def why_invalid(prediction: PredictionLogged, workload: WorkloadAdded) -> str | None:
    """Why it cannot be kept, naming fields and never values; None if it can."""
    # A label that was renamed or removed a moment ago still answers: nothing that was answered is lost.
    is_label = workload.definition.has_known
    if not is_label(prediction.answer):
        return "answer: is no label of the workload"
    if not all(map(is_label, prediction.probabilities)):
        return "probabilities: hold a name that is no label of the workload"
    if prediction.tokens_in > MOST_TOKENS or prediction.latency_ms > MOST_LATENCY_MS:
        return "tokens_in, latency_ms: are out of range"
    return _out_of_range("predicted_at", prediction.predicted_at)


def why_feedback_invalid(feedback: FeedbackGiven) -> str | None:
    """Like `why_invalid`. Its prediction may well be unknown: it may come later."""
    return _out_of_range("given_at", feedback.given_at)


def _out_of_range(field: str, moment: datetime) -> str | None:
    return None if 1970 <= moment.year < 2200 else f"{field}: is not a time between 1970 and 2199"
