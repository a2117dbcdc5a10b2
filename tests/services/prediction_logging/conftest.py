"""The service on real tables, with a list in the broker's place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from services.prediction_logging.app import build
from shared.access.limit_settings import LimitSettings
from shared.access.limiter import RequestLimits
from shared.addresses import Addresses
from shared.clickhouse import ClickHouse, clickhouse_at
from shared.consumer import Batch, ConsumerRecord, Invalid, Sample
from shared.events import (
    AccessChanged,
    Event,
    FeedbackGiven,
    FrozenFile,
    PredictionFlagged,
    PredictionLogged,
    Thumb,
    WorkloadAdded,
    Writer,
    read,
)
from shared.events.envelope import Record
from shared.files import Files
from shared.migrations import migrate
from shared.model_server import ModelServer
from shared.problems import answer_with_problems
from shared.producer import Producer
from shared.service import Service, ServiceContext
from shared.workload import Review, Workload
from tests.servers.http import with_door

SUBJECT_KEY = "a secret of the tests"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def workload_added(
    name: str = "tickets",
    *,
    audit_share: float = 0.0,
    labels: tuple[str, ...] = ("refund", "outage", "other"),
    revision: int = 1,
) -> WorkloadAdded:
    definition = Workload(
        name=name,
        title="Tickets",
        prompt="{text}\nAnswer:",
        labels=labels,
        review=Review(doubt_below=0.6, audit_share=audit_share),
    )
    return WorkloadAdded(
        revision=revision,
        definition=definition,
        answers={label: f" {label}" for label in labels},
        rows=FrozenFile(uri="file:///nowhere", digest="sha256:" + "0" * 64, rows=0),
        added_at=NOON,
    )


def logged(prediction_id: str, **fields: Any) -> PredictionLogged:
    return PredictionLogged.model_validate(
        {
            "prediction_id": prediction_id,
            "workload": "tickets",
            "predicted_at": NOON,
            "input": "Where is my money?",
            "answer": "refund",
            "confidence": 0.9,
            "probabilities": {"refund": 0.9, "other": 0.1},
            "adapter": "tickets-1",
            "latency_ms": 12.5,
            "tokens_in": 9,
            "attributes": {"customer": "42"},
            "written_by": Writer.GATEWAY,
        }
        | fields
    )


def feedback(prediction_id: str, thumb: Thumb | None = Thumb.DOWN, **fields: Any) -> FeedbackGiven:
    return FeedbackGiven.model_validate(
        {
            "feedback_id": f"f-{prediction_id}",
            "prediction_id": prediction_id,
            "workload": "tickets",
            "thumb": thumb,
            "given_at": NOON + timedelta(minutes=1),
        }
        | fields
    )


class Listed(Producer):
    """A producer whose broker is a list of the events that its records read as."""

    def __init__(self, published: list[Event]) -> None:
        super().__init__({}, lambda topic, count: None)
        self.published = published

    async def publish_records(self, records: Sequence[Record]) -> None:
        kinds = {kind.topic.name: kind for kind in (PredictionLogged, FeedbackGiven)}
        self.published += [read(kinds[one.topic], one.value, list(one.headers.items())) for one in records]


@dataclass
class Logging:
    """One running prediction_logging: what it consumes, what it published, and its HTTP."""

    service: Service
    http: httpx.AsyncClient
    clickhouse: ClickHouse
    published: list[Event] = field(default_factory=list)
    offset: int = 0

    async def apply(self, *events: Event, offset: int | None = None) -> list[Invalid]:
        """As one batch of one partition, from `offset` on or after what came before."""
        start = self.offset if offset is None else offset
        self.offset = max(self.offset, start + len(events))
        handler = self.service.consumes[type(events[0])]
        if not isinstance(handler, Batch | Sample):
            for event in events:
                await handler(event)
            return []
        batch = [ConsumerRecord(event, 0, start + number) for number, event in enumerate(events)]
        return list(await handler.handler(batch) or ())

    def flags(self) -> list[tuple[str, str]]:
        """Prediction and reason of every flag that was published."""
        return [
            (event.prediction_id, event.reason.value)
            for event in self.published
            if isinstance(event, PredictionFlagged)
        ]


async def running(
    clickhouse: ClickHouse,
    folder: Path,
    *,
    subject_key: str = SUBJECT_KEY,
    keys: Sequence[AccessChanged] = (),
    limits: RequestLimits | None = None,
    registry: CollectorRegistry | None = None,
    clock: Callable[[], datetime] = lambda: NOON + timedelta(hours=1),
) -> Logging:
    published: list[Event] = []

    async def publish(*events: Event) -> None:
        published.extend(events)

    context = ServiceContext(
        addresses=Addresses(subject_key=subject_key),
        publish=publish,
        clickhouse=clickhouse,
        files=Files(f"file://{folder}", folder),
        models=ModelServer("http://127.0.0.1:9"),
        clock=clock,
        registry=registry or CollectorRegistry(),
        state_folder=folder,
        producer=Listed(published),
        limits=limits or RequestLimits(LimitSettings(), CollectorRegistry()),
    )
    service = build(context)
    app = FastAPI()
    answer_with_problems(app)
    app.include_router(service.routers[0])
    assert service.mount is not None
    service.mount(app)
    with_door(app, *keys)
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://logging")
    logging = Logging(service, http, clickhouse, published)
    await logging.apply(workload_added())
    return logging


@pytest.fixture
async def logging(clickhouse: ClickHouse, tmp_path: Path) -> AsyncIterator[Logging]:
    """With tables, of a workload that draws nothing for audit."""
    logging = await running(clickhouse, tmp_path)
    await migrate(clickhouse, "prediction_logging")
    yield logging
    await logging.http.aclose()


@pytest.fixture
async def intake(tmp_path: Path) -> AsyncIterator[Logging]:
    """Its HTTP alone: it needs no tables."""
    logging = await running(clickhouse_at("http://127.0.0.1:9/none"), tmp_path)
    yield logging
    await logging.http.aclose()
