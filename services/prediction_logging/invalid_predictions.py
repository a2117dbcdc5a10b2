"""Events that are well formed and still cannot be kept: of no workload, with no label of it, out of range."""

from __future__ import annotations

from datetime import datetime

from shared.events import FeedbackGiven, PredictionLogged
from shared.projections import Workloads

MOST_TOKENS = 2**32 - 1
MOST_LATENCY_MS = 1e9
UNKNOWN_WORKLOAD = "its workload is not known"


def why_invalid(prediction: PredictionLogged, workloads: Workloads) -> str | None:
    """Why it cannot be kept, naming fields and never values; None if it can."""
    workload = workloads.get(prediction.workload)
    if workload is None:
        return UNKNOWN_WORKLOAD
    labels = workload.definition.labels
    if prediction.answer not in labels:
        return "answer: is no label of the workload"
    if not prediction.probabilities.keys() <= set(labels):
        return "probabilities: hold a name that is no label of the workload"
    if prediction.tokens_in > MOST_TOKENS or prediction.latency_ms > MOST_LATENCY_MS:
        return "tokens_in, latency_ms: are out of range"
    return _out_of_range("predicted_at", prediction.predicted_at)


def why_feedback_invalid(feedback: FeedbackGiven, workloads: Workloads) -> str | None:
    """Like `misfit`. Its prediction may well be unknown: it may come later."""
    if workloads.get(feedback.workload) is None:
        return UNKNOWN_WORKLOAD
    return _out_of_range("given_at", feedback.given_at)


def _out_of_range(field: str, moment: datetime) -> str | None:
    return None if 1970 <= moment.year < 2200 else f"{field}: is not a time between 1970 and 2199"
