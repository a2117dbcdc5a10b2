"""The service on real tables and files, with a list in the broker's place."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.failure_clustering.handlers import CLUSTER, Handlers, Outcome
from services.failure_clustering.store import FailureStore
from shared.addresses import Addresses
from shared.clickhouse import ClickHouse
from shared.events import CycleStarted, Event, FailureClustersFound
from shared.files import Files
from shared.job_launcher.child_process import ChildProcess
from shared.job_protocol import JobProgress
from shared.jobs import JobLimits, JobRunner, JobTable
from shared.jobs.metrics import JobMetrics
from shared.migrations import migrate
from shared.model_server import ModelServer
from shared.service import ServiceContext
from shared.workload import Privacy, Workload
from tests.servers.views import views_as_tables

# Yesterday's: ClickHouse removes what is too old whenever it merges.
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
DEFINITION = Workload(
    name="licences",
    title="Which?",
    prompt="{text}\nLicence:",
    labels=("mit", "bsd", "gpl"),
    privacy=Privacy(entities=("EMAIL_ADDRESS",)),
)
Row = dict[str, str]


def minutes(number: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=number)


def failure(prediction_id: str, right_answer: str = "", answer: str = "mit", at: datetime = NOON) -> Row:
    """A row of a cycle's frozen list of failures; without a right answer it is only suspected."""
    return {
        "prediction_id": prediction_id,
        "predicted_at": at.isoformat(timespec="milliseconds"),
        "answer": answer,
        "right_answer": right_answer,
    }


@dataclass
class Clusterer:
    """One failure_clustering: what it consumes, what it published, and a clock that stands still."""

    clickhouse: ClickHouse
    folder: Path
    published: list[Event] = field(default_factory=list)
    spoke: asyncio.Event = field(default_factory=asyncio.Event)
    progress: list[JobProgress] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = FailureStore(self.clickhouse)
        self.files = Files((self.folder / "files").as_uri(), self.folder / "cache")
        self.job_table = JobTable(self.clickhouse, "failure_clustering")
        self.outcome = Outcome(self.store, self.files, self.publish, lambda: minutes(60))
        self.jobs = JobRunner(
            self.job_table,
            ChildProcess("services.failure_clustering.job"),
            self.folder,
            JobLimits(1, {CLUSTER: timedelta(minutes=5)}),
            JobMetrics(CollectorRegistry(), "failure_clustering"),
            self.on_progress,
            self.outcome.on_done,
        )
        self.handlers = Handlers(self.store, self.files, self.jobs)

    async def publish(self, *events: Event) -> None:
        self.published += events
        self.spoke.set()

    async def on_progress(self, job: Any, progress: JobProgress) -> None:
        self.progress.append(progress)

    @property
    def found(self) -> list[FailureClustersFound]:
        return [event for event in self.published if isinstance(event, FailureClustersFound)]

    def started(
        self, failures: Sequence[Row], cycle_id: str = "cycle-1", cutoff: datetime = NOON, confirmed: int = 0
    ) -> CycleStarted:
        """A cycle with these failures, the corrections among them, and so many confirmations."""
        corrections = [row for row in failures if row["right_answer"]]
        corrections += [failure(f"confirmed-{number}", "mit") for number in range(confirmed)]
        return CycleStarted(
            cycle_id=cycle_id,
            workload="licences",
            revision=1,
            cutoff=cutoff,
            failures=self.files.freeze_rows(f"cycles/{cycle_id}/failures-at-cutoff", failures),
            corrections=self.files.freeze_rows(f"cycles/{cycle_id}/corrections", corrections),
            reason="a test",
            requested_by="ada",
            started_at=cutoff,
        )

    async def log(self, texts: Mapping[str, str], subject_id: str = "") -> None:
        rows = [
            {
                "prediction_id": prediction_id,
                "predicted_at": NOON,
                "workload": "licences",
                "input": text,
                "subject_id": subject_id,
            }
            for prediction_id, text in texts.items()
        ]
        await self.clickhouse.insert("predictions_v1", rows)


@pytest.fixture
async def clusterer(clickhouse: ClickHouse, tmp_path: Path) -> Clusterer:
    await views_as_tables(clickhouse, "prediction_logging", "workloads")
    definition = {"workload": "licences", "revision": 1, "definition": DEFINITION.model_dump_json()}
    await clickhouse.insert("workload_revisions_v1", [definition])
    await migrate(clickhouse, "failure_clustering")
    return Clusterer(clickhouse, tmp_path)


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
