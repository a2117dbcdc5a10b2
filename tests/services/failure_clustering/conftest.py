"""The service on real tables and files, with a list in the broker's place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.failure_clustering.handlers import CLUSTER, Handlers, Outcome
from services.failure_clustering.settings import Settings
from services.failure_clustering.store import FailureStore
from shared.addresses import Addresses
from shared.clickhouse import ClickHouse
from shared.consumer import ConsumerRecord
from shared.events import (
    CycleRequested,
    Event,
    FailureClustersFound,
    FlagReason,
    FrozenFile,
    PredictionCorrected,
    PredictionFlagged,
    WorkloadAdded,
)
from shared.files import Files
from shared.job_launcher import ChildProcess
from shared.job_protocol import JobProgress
from shared.jobs import JobLimits, JobMetrics, JobRunner, JobTable
from shared.migrations import migrate
from shared.model_server import ModelServer
from shared.projections import Workloads
from shared.service import ServiceContext
from shared.workload import Cycle, Workload
from tests.servers.views import views_as_tables

# Yesterday's: ClickHouse removes what is too old whenever it merges.
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)


def minutes(number: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=number)


ONE = minutes(60)


def workload_added(cycle: Cycle) -> WorkloadAdded:
    definition = Workload(
        name="licences", title="Which?", prompt="{text}\nLicence:", labels=("mit", "bsd", "gpl"), cycle=cycle
    )
    return WorkloadAdded(
        revision=1,
        definition=definition,
        answers={"mit": " A", "bsd": " B", "gpl": " C"},
        rows=FrozenFile(uri="file:///nowhere", digest="sha256:" + "0" * 64, rows=0),
        added_at=NOON - timedelta(days=1),
    )


def flagged(
    prediction_id: str, answer: str = "mit", reason: FlagReason = FlagReason.DOUBTED, at: datetime = NOON
) -> PredictionFlagged:
    return PredictionFlagged(
        prediction_id=prediction_id,
        workload="licences",
        predicted_at=NOON,
        adapter="licences-v1",
        answer=answer,
        confidence=0.5,
        reason=reason,
        flagged_at=at,
    )


def corrected(
    prediction_id: str, right_answer: str, answer: str = "mit", at: datetime = NOON
) -> PredictionCorrected:
    return PredictionCorrected(
        prediction_id=prediction_id,
        workload="licences",
        predicted_at=NOON,
        adapter="licences-v1",
        answer=answer,
        confidence=0.5,
        right_answer=right_answer,
        reviewers=["ada"],
        review_ids=[f"{prediction_id}.{right_answer}"],
        corrected_at=at,
    )


def requested(cycle_id: str = "cycle-1", cut: datetime = NOON) -> CycleRequested:
    return CycleRequested(
        cycle_id=cycle_id, workload="licences", cut=cut, reason="asked for", requested_by="ada"
    )


@dataclass
class Clusterer:
    """One failure_clustering: what it consumes, what it published, and a clock the test moves."""

    clickhouse: ClickHouse
    folder: Path
    cycle: Cycle = field(default_factory=Cycle)
    published: list[Event] = field(default_factory=list)
    time: datetime = ONE
    spoke: asyncio.Event = field(default_factory=asyncio.Event)
    progress: list[JobProgress] = field(default_factory=list)

    def __post_init__(self) -> None:
        workloads = Workloads()
        workloads.apply(workload_added(self.cycle))
        self.store = FailureStore(self.clickhouse)
        self.files = Files((self.folder / "files").as_uri(), self.folder / "cache")
        self.job_table = JobTable(self.clickhouse, "failure_clustering")
        self.outcome = Outcome(self.store, self.files, self.publish, self.clock)
        self.jobs = JobRunner(
            self.job_table,
            ChildProcess("services.failure_clustering.job"),
            self.folder,
            JobLimits(1, {CLUSTER: timedelta(minutes=5)}),
            JobMetrics(CollectorRegistry(), "failure_clustering"),
            self.on_progress,
            self.outcome.on_done,
        )
        self.handlers = Handlers(
            self.store, self.files, self.jobs, self.publish, self.clock, workloads, Settings()
        )

    async def publish(self, *events: Event) -> None:
        self.published += events
        self.spoke.set()

    async def on_progress(self, job: Any, progress: JobProgress) -> None:
        self.progress.append(progress)

    def clock(self) -> datetime:
        return self.time

    @property
    def found(self) -> list[FailureClustersFound]:
        return [event for event in self.published if isinstance(event, FailureClustersFound)]

    async def apply(self, *events: Event) -> None:
        """Each kind as a batch of its own."""
        handlers: dict[type[Event], Callable[[Any], Any]] = {
            PredictionFlagged: self.handlers.on_prediction_flagged,
            PredictionCorrected: self.handlers.on_prediction_corrected,
        }
        for kind, handler in handlers.items():
            await handler([ConsumerRecord(event, 0, 0) for event in events if isinstance(event, kind)])

    async def log(self, texts: Mapping[str, str]) -> None:
        rows = [
            {"prediction_id": prediction_id, "predicted_at": NOON, "workload": "licences", "input": text}
            for prediction_id, text in texts.items()
        ]
        await self.clickhouse.insert("predictions_v1", rows)


@pytest.fixture
async def clusterer(clickhouse: ClickHouse, tmp_path: Path) -> Clusterer:
    await views_as_tables(clickhouse, "prediction_logging")
    await migrate(clickhouse, "failure_clustering")
    return Clusterer(clickhouse, tmp_path)


@pytest.fixture
def context(clickhouse: ClickHouse, tmp_path: Path) -> ServiceContext:
    async def publish(*_: Event) -> None:
        raise AssertionError("building a service says nothing")

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
