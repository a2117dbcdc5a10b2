"""The service on real tables, with what it publishes in a list."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

import pytest

from services.shadow_deployment.handlers import Handlers
from services.shadow_deployment.judging import Judging
from services.shadow_deployment.store import ShadowStore
from shared.clickhouse import ClickHouse
from shared.consumer import ConsumerRecord
from shared.events import Event, PredictionCorrected, ShadowPairRecorded
from shared.migrations import migrate
from shared.projections import Workloads
from shared.workload import Promotion
from tests.servers.views import views_as_tables
from tests.services.shadow_deployment.example_events import CUTOFF, WORKLOAD, evaluated, workload

E = TypeVar("E", bound=Event)


class BrokerDown(Exception):
    """What the test's broker raises while it is down."""


@dataclass
class RunningService:
    """One process of the service; `restarted` is the next, on the same tables."""

    clickhouse: ClickHouse
    published: list[Event] = field(default_factory=list)
    is_broker_down: bool = False
    now: datetime = CUTOFF + timedelta(minutes=10)
    reviews_of_a_pair: int = 1

    def __post_init__(self) -> None:
        self.store = ShadowStore(self.clickhouse)
        self.workloads = Workloads()
        self.wake = asyncio.Event()
        self.judging = Judging(
            self.store,
            self.publish,
            lambda: self.now,
            self.workloads,
            self.wake.set,
            lambda: self.reviews_of_a_pair,
        )
        self.handlers = Handlers(self.store, self.workloads, self.judging, self.wake)

    async def publish(self, *events: Event) -> None:
        if self.is_broker_down:
            raise BrokerDown
        self.published.extend(events)

    def consumed(self, kind: type[E]) -> list[E]:
        """What was published of one kind, without what was published again."""
        return list({event.event_id: event for event in self.published if isinstance(event, kind)}.values())

    async def restarted(self) -> RunningService:
        other = RunningService(self.clickhouse, now=self.now, reviews_of_a_pair=self.reviews_of_a_pair)
        for added in self.workloads.all():
            await other.handlers.on_workload_added(added)
        return other

    async def with_champion(self, name: str = "first", promotion: Promotion | None = None) -> RunningService:
        await self.handlers.on_workload_added(workload(promotion))
        await self.handlers.on_candidate_evaluated(evaluated(name, None, minutes=0))
        return self

    async def correct(self, *events: PredictionCorrected) -> None:
        await self.handlers.on_predictions_corrected(
            [ConsumerRecord(event, 0, offset) for offset, event in enumerate(events)]
        )

    async def record(self, pairs: Sequence[ShadowPairRecorded]) -> None:
        await self.store.keep_pairs(pairs)


def recorded(number: int, candidate_answer: str = "BSD", candidate: str = "second") -> ShadowPairRecorded:
    return ShadowPairRecorded(
        run_id=f"run-{candidate}",
        workload=WORKLOAD,
        prediction_id=f"prediction-{number:04}",
        predicted_at=CUTOFF + timedelta(seconds=number),
        champion="first",
        champion_answer="MIT",
        champion_confidence=0.7,
        candidate=candidate,
        candidate_answer=candidate_answer,
        candidate_confidence=0.8,
        recorded_at=CUTOFF + timedelta(minutes=2),
    )


@pytest.fixture
async def service(clickhouse: ClickHouse) -> RunningService:
    await views_as_tables(clickhouse, "prediction_logging")
    await migrate(clickhouse, "shadow_deployment")
    return RunningService(clickhouse)
