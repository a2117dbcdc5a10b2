"""The service on real tables, files and a model server, with a list in the broker's place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

from services.workloads import app as workloads_app
from services.workloads.due_cycles import DueCycles
from services.workloads.outbox import Outbox
from shared.access.asked import Asked, asked_of
from shared.addresses import Addresses
from shared.clickhouse import ClickHouse
from shared.consumer import Batch, ConsumerRecord, Sample
from shared.events import (
    CandidateJudged,
    DatasetPublished,
    Event,
    Evidence,
    FlagReason,
    FrozenAdapter,
    PredictionCorrected,
    PredictionFlagged,
    Verdict,
    WorkloadAdded,
)
from shared.files import Files
from shared.flow import FLOW
from shared.migrations import migrate
from shared.model_server import ModelServer
from shared.problems import answer_with_problems
from shared.service import ServiceContext
from tests.servers.http import with_door
from tests.servers.model import MODEL, model_server
from tests.servers.views import views_as_tables

# Yesterday's: ClickHouse removes what is too old whenever it merges.
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
LABELS = ["refund", "card", "parcel"]
WHO = {"requested_by": "ada", "reason": "a test"}
READ_VIEWS = (
    "data_augmentation",
    "shadow_deployment",
    "retraining",
    "human_review",
    "prediction_logging",
)
ADAPTER = FrozenAdapter(name="tickets-v1", uri="adapters/t", digest="sha256:" + "a" * 64, base_model=MODEL)


def minutes(number: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=number)


def definition(**changes: Any) -> dict[str, Any]:
    given = {
        "name": "tickets",
        "title": "What does the customer want?",
        "prompt": "{text}\nIntent:",
        "labels": LABELS,
        "training": {"rank": 4, "max_steps": 10},
    }
    return given | changes


def rows(labels: list[str] = LABELS, each: int = 30) -> list[dict[str, str]]:
    return [{"text": f"about {label} {number}", "label": label} for label in labels for number in range(each)]


def body(changes: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"definition": definition(**(changes or {})), "rows": rows()} | more


def corrected(prediction_id: str, right_answer: str, answer: str = "card", at: datetime = NOON) -> Event:
    return PredictionCorrected(
        prediction_id=prediction_id,
        workload="tickets",
        predicted_at=at,
        adapter=ADAPTER.name,
        answer=answer,
        confidence=0.5,
        right_answer=right_answer,
        reviewers=["ada"],
        review_ids=[f"{prediction_id}.{right_answer}"],
        corrected_at=at,
    )


def flagged(
    prediction_id: str, answer: str = "card", reason: FlagReason = FlagReason.DOUBTED, at: datetime = NOON
) -> Event:
    return PredictionFlagged(
        prediction_id=prediction_id,
        workload="tickets",
        predicted_at=at,
        adapter=ADAPTER.name,
        answer=answer,
        confidence=0.5,
        reason=reason,
        flagged_at=at,
    )


def judged(round_id: str, verdict: Verdict = Verdict.PROMOTE, *, cycle: bool = True) -> CandidateJudged:
    """The verdict that ends a round."""
    return CandidateJudged(
        run_id=f"run-of-{round_id}",
        workload="tickets",
        dataset_id=DatasetPublished.id_of_cycle("tickets", round_id) if cycle else round_id,
        cycle_id=round_id if cycle else None,
        candidate=ADAPTER,
        champion=None,
        verdict=verdict,
        reason="It is better.",
        evidence=Evidence(),
        judged_at=NOON,
    )


@contextmanager
def answer_lost(monkeypatch: pytest.MonkeyPatch, store: type, method: str) -> Iterator[None]:
    """ClickHouse takes what the store's method writes, and nobody hears of it."""
    write = getattr(store, method)

    async def lost(*given: Any, **more: Any) -> None:
        await write(*given, **more)
        raise ClickHouseError("timed out")

    with monkeypatch.context() as patched:
        patched.setattr(store, method, lost)
        yield


class Remembering:
    """ASGI middleware, where the audit's stands."""

    def __init__(self, app: ASGIApp, asked: list[Asked]) -> None:
        self._app, self._asked = app, asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
        self._asked.append(asked_of(scope))


@dataclass
class Workloads:
    """One workloads service: its HTTP, what it consumes and published, and a clock that the test moves."""

    context_of: Any
    client: httpx.AsyncClient = field(init=False)
    published: list[Event] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    """What the door and the routes found out about each request: the audit log goes by it."""
    time: datetime = field(default_factory=lambda: minutes(60))
    is_down: bool = False
    """The broker: to publish fails."""
    looks_before_assigned: int = 0
    """How often still it asks whether it decides until Kafka has given it its partitions."""

    async def start(self) -> None:
        """As the runner does it, or again after `kill`."""
        self.context: ServiceContext = self.context_of(self)
        self.service = workloads_app.build(self.context)
        assert frozenset(self.service.consumes) == FLOW["workloads"].consumes
        await migrate(self.context.clickhouse, "workloads")
        assert self.service.start is not None
        await self.service.start()
        app = FastAPI()
        answer_with_problems(app)
        for router in self.service.routers:
            app.include_router(router)
        with_door(app)
        app.add_middleware(Remembering, asked=self.asked)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://test", timeout=60
        )

    async def kill(self) -> None:
        await self.client.aclose()

    async def publish(self, *events: Event) -> None:
        if self.is_down:
            raise TimeoutError("no broker")
        self.published += events

    def owns(self, workload: str) -> bool:
        is_assigned = self.looks_before_assigned == 0
        self.looks_before_assigned = max(0, self.looks_before_assigned - 1)
        return is_assigned

    async def apply(self, *events: Event) -> None:
        for offset, event in enumerate(events):
            handler = self.service.consumes[type(event)]
            if isinstance(handler, Batch | Sample):
                await handler.handler([ConsumerRecord(event, 0, offset)])
            else:
                await handler(event)

    async def publish_all(self) -> list[Event]:
        """Starts what is due and lets the outbox publish, once each; what was published."""
        before, parts = len(self.published), self._parts()
        await parts[DueCycles].start_due()
        if not self.is_down:
            outbox = parts[Outbox]
            outbox.wake.clear()
            await outbox.publish_all()
        return self.published[before:]

    def wakes_outbox(self) -> bool:
        """Whether the outbox was told, since it published last, that there is something to publish."""
        return bool(self._parts()[Outbox].wake.is_set())

    def _parts(self) -> dict[type, Any]:
        return {type(work.__self__): work.__self__ for work in self.service.background}  # type: ignore[attr-defined]  # each is a method of its part

    async def add(self, given: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await self.client.post("/workloads", json=given or body())
        assert answer.status_code == 201, answer.text
        added: dict[str, Any] = answer.json()
        return added

    async def add_and_promote(self, given: dict[str, Any] | None = None) -> dict[str, Any]:
        """Adds it; its first model is promoted."""
        added = await self.add(given)
        await self.apply(judged(added["round_id"], cycle=False))
        return added

    async def cycle(self) -> httpx.Response:
        return await self.client.post("/workloads/tickets/cycles", json=WHO)

    def revisions(self) -> list[WorkloadAdded]:
        return [event for event in self.published if isinstance(event, WorkloadAdded)]


@pytest.fixture(scope="session")
def models_url() -> Iterator[str]:
    with model_server() as url:
        yield url


@pytest.fixture
async def workloads(
    clickhouse: ClickHouse, tmp_path: Path, models_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Workloads]:
    monkeypatch.setenv("WORKLOADS_GRACE_SECONDS", "0")
    await views_as_tables(clickhouse, *READ_VIEWS)
    files = Files((tmp_path / "files").as_uri(), tmp_path / "cache")
    models = ModelServer(models_url)

    def context(service: Workloads) -> ServiceContext:
        return ServiceContext(
            Addresses(),
            service.publish,
            clickhouse,
            files,
            models,
            lambda: service.time,
            CollectorRegistry(),
            tmp_path,
            owns=service.owns,
        )

    service = Workloads(context)
    await service.start()
    yield service
    await service.kill()
    await models.close()
