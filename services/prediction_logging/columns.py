"""Events as columns of their tables: attributes of what was consumed, whatever class it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.consumer import ConsumerRecord
from shared.events import FeedbackGiven, PredictionLogged


def of_predictions(
    consumed: Sequence[ConsumerRecord[PredictionLogged]], arrival: int
) -> dict[str, Sequence[Any]]:
    """`arrival` in nanoseconds since 1970, the same for all of them."""
    events = [one.event for one in consumed]
    return {
        "prediction_id": [event.prediction_id for event in events],
        "workload": [event.workload for event in events],
        "predicted_at": [event.predicted_at for event in events],
        "adapter": [event.credited for event in events],
        "input": [event.input for event in events],
        "answer": [event.answer for event in events],
        "confidence": [event.confidence for event in events],
        "probabilities": [event.probabilities for event in events],
        "latency_ms": [event.latency_ms for event in events],
        "tokens_in": [event.tokens_in for event in events],
        "attributes": [event.attributes for event in events],
        "subject_id": [event.subject_id or "" for event in events],
        "group_id": [event.group_id or "" for event in events],
        "written_by": [event.written_by or "" for event in events],
        "said_model": [event.adapter for event in events],
        "kafka_partition": [one.partition for one in consumed],
        "kafka_offset": [one.offset for one in consumed],
        "arrived_at": [arrival] * len(events),
    }


def of_feedback(consumed: Sequence[ConsumerRecord[FeedbackGiven]]) -> dict[str, Sequence[Any]]:
    events = [one.event for one in consumed]
    return {
        "feedback_id": [event.feedback_id for event in events],
        "prediction_id": [event.prediction_id for event in events],
        "workload": [event.workload for event in events],
        "thumb": [event.thumb.value if event.thumb else "" for event in events],
        "score": [event.score for event in events],
        "comment": [event.comment or "" for event in events],
        "subject_id": [event.subject_id or "" for event in events],
        "group_id": [event.group_id or "" for event in events],
        "is_negative": [event.is_negative for event in events],
        "given_at": [event.given_at for event in events],
        "kafka_partition": [one.partition for one in consumed],
        "kafka_offset": [one.offset for one in consumed],
        "is_looked_after": [True] * len(events),
    }
