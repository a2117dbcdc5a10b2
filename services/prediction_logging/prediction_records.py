"""A prediction that was read becomes its Kafka record, with no model of the event in between.

The record reads as the very event that `shared.events.record` would have written.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.prediction_logging.given import PredictionRead
from shared.events import PredictionLogged, derived_id
from shared.events.envelope import Record, derived_ids, event_type

TOPIC = PredictionLogged.topic
_TYPE = event_type(TOPIC)
_SOURCE = "/tuneloop/prediction_logging"


class _Value(msgspec.Struct, gc=False):
    """PredictionLogged's fields."""

    prediction_id: str
    workload: str
    predicted_at: str
    input: str
    answer: str
    confidence: float
    probabilities: dict[str, float]
    adapter: str
    latency_ms: float
    tokens_in: int
    attributes: dict[str, str]
    subject_id: str | None
    group_id: str | None
    revision: int


_encode = msgspec.json.Encoder().encode


def prediction_record(
    read: PredictionRead, prediction_id: str, time: str, subject_id: str | None, revision: int
) -> Record:
    """The record of a prediction made at `time`, under this revision of its workload's definition."""
    value = _Value(
        prediction_id,
        read.workload,
        time,
        read.input,
        read.answer,
        read.confidence,
        read.probabilities or {},
        read.adapter,
        read.latency_ms or 0,
        read.tokens_in or 0,
        read.attributes or {},
        subject_id,
        read.group_id,
        revision,
    )
    key = prediction_id.encode()
    [headers] = prediction_headers([read.workload], [key], [time])
    return Record(TOPIC.name, key, _encode(value), headers)


def prediction_headers(
    workloads: Sequence[str], keys: Sequence[bytes], times: Sequence[str]
) -> list[dict[str, str]]:
    """Of records of predictions with these ids, made at these times."""
    if len(set(workloads)) == 1:
        ids = derived_ids([TOPIC.name, workloads[0]], keys)
    else:
        ids = [
            derived_id(TOPIC.name, workload, key.decode())
            for workload, key in zip(workloads, keys, strict=True)
        ]
    return [
        {
            "ce_specversion": "1.0",
            "ce_id": ce_id,
            "ce_source": _SOURCE,
            "ce_type": _TYPE,
            "ce_time": time,
            "content-type": "application/json",
        }
        for ce_id, time in zip(ids, times, strict=True)
    ]
