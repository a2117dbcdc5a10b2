"""The event that is measured: 0.8 KB of JSON with CloudEvents headers, encoded beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.events import PredictionLogged, record
from tests.bench.installation import LABELS

WORKLOAD, PROBES = "bench", "bench-probes"
TOPIC = PredictionLogged.topic.name
_ID = "00000000-id-0000000000000"
_INPUT = (
    "Good morning, I ordered two of the folding chairs three weeks ago and only one has come so far. The "
    "other one is said to be on its way since Monday a week ago, and nobody at your end seems to know where. "
    "Could you please find out whether it is still coming, and if it is not, send me back what I paid for it?"
)


def event(prediction_id: str, workload: str = WORKLOAD) -> PredictionLogged:
    """As an app that runs its own model might log it."""
    return PredictionLogged(
        prediction_id=prediction_id,
        workload=workload,
        predicted_at=datetime(2026, 6, 1, 12, 0, 0, 123_000, tzinfo=UTC),
        input=_INPUT,
        answer=LABELS[0],
        confidence=0.9341,
        probabilities=dict(zip(LABELS, (0.9341, 0.0417, 0.0242), strict=True)),
        adapter="support-triage-2026-05-30",
        latency_ms=41.7,
        tokens_in=87,
        attributes={"channel": "mail", "country": "de", "release": "2026.22.1"},
        subject_id="b7e23ec29af22b0b4e41da31e868d572",
        group_id="ticket-4711-2026",
    )


@dataclass(frozen=True)
class Encoded:
    """Everything of a record but its id."""

    before: bytes
    after: bytes
    headers: Mapping[str, str]

    @classmethod
    def of(cls, workload: str) -> Encoded:
        made = record(event(_ID, workload), "prediction_logging")
        before, after = made.value.split(_ID.encode())
        return cls(before, after, dict(made.headers))

    def value(self, prediction_id: bytes) -> bytes:
        return self.before + prediction_id + self.after


def columns_of(count: int, prefix: str) -> dict[str, list[Any]]:
    """The same events as columns of the table `predictions`."""
    one = event(_ID)
    row = {
        "workload": one.workload,
        "predicted_at": one.predicted_at,
        "adapter": one.adapter,
        "input": one.input,
        "answer": one.answer,
        "confidence": one.confidence,
        "probabilities": one.probabilities,
        "latency_ms": one.latency_ms,
        "tokens_in": one.tokens_in,
        "attributes": one.attributes,
        "subject_id": one.subject_id,
        "group_id": one.group_id,
        "kafka_partition": 0,
        "kafka_offset": 0,
    }
    return {"prediction_id": [f"{prefix}-{n:016}" for n in range(count)]} | {
        name: [value] * count for name, value in row.items()
    }
