"""The service on real tables, with a list in the broker's place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from services.human_review.api import make_router
from services.human_review.handlers import Handlers
from services.human_review.look_ahead import LookAhead
from services.human_review.metrics import Metrics
from services.human_review.settings import Settings
from services.human_review.store import ReviewStore
from shared.addresses import Addresses
from shared.clickhouse import ClickHouse
from shared.consumer import ConsumerRecord
from shared.events import AccessChanged, Event, FrozenFile, PredictionCorrected, WorkloadAdded
from shared.files import Files
from shared.lots import Lots
from shared.migrations import migrate
from shared.model_server import ModelServer
from shared.problems import answer_with_problems
from shared.projections import Workloads
from shared.service import ServiceContext
from shared.workload import Review, Workload
from tests.servers.http import with_door
from tests.servers.views import views_as_tables

# Yesterday's: ClickHouse removes what is too old whenever it merges.
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
LOTS = Lots.of("a secret of the tests")
LABELS = ("mit", "apache-2.0", "gpl-2.0")


def workload_added(double_share: float = 0.0, name: str = "licences") -> WorkloadAdded:
    definition = Workload(
        name=name,
        title="Which licence?",
        prompt="{text}\nLicence:",
        labels=LABELS,
        review=Review(double_share=double_share),
    )
    return WorkloadAdded(
        revision=1,
        definition=definition,
        answers={label: f" {label}" for label in LABELS},
        rows=FrozenFile(uri="file:///nowhere", digest="sha256:" + "0" * 64, rows=0),
        added_at=NOON,
    )


def batch(*events: Event) -> list[ConsumerRecord[Any]]:
    return [ConsumerRecord(event, 0, offset) for offset, event in enumerate(events)]


@dataclass
class Reviewing:
    """One running human_review: its handlers, its HTTP, what it published, and a clock the test moves."""

    clickhouse: ClickHouse
    double_share: float = 0.0
    look_ahead: int = 64
    reviews_of_a_pair: int = 1
    keys: Sequence[AccessChanged] = ()
    published: list[Event] = field(default_factory=list)
    time: datetime = NOON
    broker_is_away: bool = False
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        workloads = Workloads()
        for name in ("licences", "notices"):
            workloads.apply(workload_added(self.double_share, name))
        store = ReviewStore(self.clickhouse)
        self.handlers = Handlers(
            store,
            self.publish,
            self.clock,
            workloads,
            LOTS,
            lambda: self.reviews_of_a_pair,
            Metrics(self.registry),
        )
        settings = Settings(accept_seconds=0.05, look_ahead=self.look_ahead)
        ahead = LookAhead(store, self.clock, settings)
        self.app = FastAPI()
        answer_with_problems(self.app)
        self.app.include_router(make_router(ahead, store, workloads, self.publish, self.clock, settings))
        with_door(self.app, *self.keys)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://tuneloop")

    async def publish(self, *events: Event) -> None:
        if events and self.broker_is_away:
            await asyncio.Event().wait()
        self.published += events

    def clock(self) -> datetime:
        return self.time

    def pass_time(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    @property
    def corrections(self) -> list[PredictionCorrected]:
        return [event for event in self.published if isinstance(event, PredictionCorrected)]

    async def log(
        self,
        *prediction_ids: str,
        answer: str = "mit",
        confidence: float = 0.5,
        workload: str = "licences",
    ) -> None:
        rows = [
            {
                "prediction_id": prediction_id,
                "predicted_at": NOON,
                "workload": workload,
                "adapter": "licences-v1",
                "input": f"text of {prediction_id}",
                "answer": answer,
                "confidence": confidence,
                "probabilities": {answer: confidence},
                "latency_ms": 1.0,
                "tokens_in": 1,
                "attributes": {},
            }
            for prediction_id in prediction_ids
        ]
        await self.clickhouse.insert("predictions_v1", rows)

    async def next(
        self, reviewer: str = "ada", without: Sequence[str] = (), workload: str = "licences"
    ) -> dict[str, Any] | None:
        self.pass_time(2)
        place = {"workload": workload, "reviewer": reviewer, "without": list(without)}
        reply = await self.http.post("/reviews/claims", json=place)
        assert reply.status_code in (200, 204), reply.text
        return dict(reply.json()) if reply.status_code == 200 else None

    async def review(self, prediction_id: str, right_answer: str, reviewer: str = "ada", **more: str) -> Any:
        body = {"prediction_id": prediction_id, "workload": "licences", "reviewer": reviewer} | more
        return await self.http.post("/reviews", json=body | {"right_answer": right_answer})


@pytest.fixture
async def reviewing(clickhouse: ClickHouse) -> AsyncIterator[Reviewing]:
    await views_as_tables(clickhouse, "prediction_logging")
    await migrate(clickhouse, "human_review")
    service = Reviewing(clickhouse)
    yield service
    await service.http.aclose()


@pytest.fixture
def context(clickhouse: ClickHouse, tmp_path: Path) -> ServiceContext:
    async def publish(*_: Event) -> None:
        raise AssertionError("building a service publishes nothing")

    return ServiceContext(
        addresses=Addresses(),
        publish=publish,
        clickhouse=clickhouse,
        files=Files(tmp_path.as_uri(), tmp_path / "cache"),
        models=ModelServer("http://127.0.0.1:1"),
        clock=lambda: NOON,
        registry=CollectorRegistry(),
        state_folder=tmp_path,
    )
