"""A prediction that was read becomes its Kafka record, with no model of the event in between.

The record reads as the very event that `shared.events.record` would have written.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import msgspec

from services.prediction_logging.given import PredictionRead
from shared.events import PredictionLogged, Writer, derived_id
from shared.events.envelope import Record, common_headers, derived_ids

TOPIC = PredictionLogged.topic


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
    written_by: Writer = Writer.APP


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
    [record] = prediction_records([read.workload], [prediction_id], [time], [_encode(value)])
    return record


def prediction_records(
    workloads: Sequence[str], ids: Sequence[str], times: Sequence[str], values: Sequence[bytes]
) -> list[Record]:
    """Of predictions with these ids, made at these times."""
    keys = list(map(str.encode, ids))
    if len(set(workloads)) == 1:
        event_ids = derived_ids([TOPIC.name, workloads[0]], keys)
    else:
        event_ids = [
            derived_id(TOPIC.name, workload, made).encode()
            for workload, made in zip(workloads, ids, strict=True)
        ]
    common = common_headers(TOPIC, "prediction_logging")
    return list(map(Record, repeat(TOPIC.name), keys, values, repeat(common), event_ids, times))
