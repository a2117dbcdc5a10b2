"""Records as services make them, and an outbox in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.events import PredictionLogged, now
from shared.events.envelope import Record, record
from shared.outbox import Outbox, OutboxSettings, own_outbox
from shared.outbox.lines import record_in


def prediction(number: int) -> PredictionLogged:
    return PredictionLogged(
        prediction_id=f"p-{number}",
        workload="tickets",
        predicted_at=now(),
        input="Where is my\r\n money?\u2028",
        answer="refund",
        confidence=0.9,
        adapter="tickets-1",
    )


def predicted(number: int) -> Record:
    return record(prediction(number), "model_gateway")


def small(name: str, topic: str = "topic") -> Record:
    return Record(topic, b"key", f'"{name}"'.encode(), {"ce_id": name})


@contextmanager
def outbox(parent: Path, **settings: Any) -> Iterator[Outbox]:
    opened = own_outbox(parent, OutboxSettings(**settings))
    try:
        yield opened
    finally:
        opened.close()


def waiting(opened: Outbox) -> list[Record]:
    """All that is not published."""
    records, place = list[Record](), opened.published
    while True:
        lines, place = opened.read(place, 1 << 20)
        if not lines:
            return records
        records += [record_in(line)[0] for line in lines]


def told(records: list[Record]) -> list[tuple[str, bytes | None, bytes, dict[str, str]]]:
    """All that Kafka is told of them."""
    return [(one.topic, one.key, one.value, one.headers) for one in records]


def ids(records: list[Record]) -> list[str]:
    return [one.headers["ce_id"] for one in records]
