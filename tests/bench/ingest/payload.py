"""The event that is measured: 0.8 KB of JSON with CloudEvents headers, encoded beforehand."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.events import PredictionLogged, record
from tests.bench.installation import LABELS

WORKLOAD, PROBES = "bench", "bench-probes"
TOPIC = PredictionLogged.topic.name
_ID = "00000000-id-0000000000000"
_SENTENCE = (
    "order chair refund please week money waiting where delivery monday nobody knows find still coming send "
    "back paid return label shipping parcel track number customer service phone mail answer question broken "
    "missing wrong colour size again tomorrow somebody told whether other one half"
)
TEXTS = 500
"""So many different inputs: what is always the same would cost nothing to compress."""


def text(number: int) -> str:
    """Some 330 characters."""
    return " ".join(random.Random(number).choices(_SENTENCE.split(), k=52))


def event(prediction_id: str, workload: str = WORKLOAD, number: int = 0) -> PredictionLogged:
    """As an app that runs its own model might log it."""
    return PredictionLogged(
        prediction_id=prediction_id,
        workload=workload,
        predicted_at=datetime(2026, 6, 1, 12, 0, 0, 123_000, tzinfo=UTC),
        input=text(number % TEXTS),
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
    """Everything of a record but its id, for each text."""

    parts: Sequence[tuple[bytes, bytes]]
    """Before the id, and after it."""
    headers: Mapping[str, str]

    @classmethod
    def of(cls, workload: str) -> Encoded:
        made = [record(event(_ID, workload, number), "prediction_logging") for number in range(TEXTS)]
        parts = [one.value.split(_ID.encode()) for one in made]
        return cls([(before, after) for before, after in parts], dict(made[0].headers))

    def value(self, prediction_id: bytes, number: int) -> bytes:
        before, after = self.parts[number % TEXTS]
        return before + prediction_id + after


def columns_of(count: int, prefix: str) -> dict[str, list[Any]]:
    """The same events as columns of the table `predictions`."""
    one = event(_ID)
    row = {
        "workload": one.workload,
        "predicted_at": one.predicted_at,
        "adapter": one.adapter,
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
    texts = [text(number) for number in range(TEXTS)]
    return {
        "prediction_id": [f"{prefix}-{n:016}" for n in range(count)],
        "input": [texts[n % TEXTS] for n in range(count)],
        **{name: [value] * count for name, value in row.items()},
    }
