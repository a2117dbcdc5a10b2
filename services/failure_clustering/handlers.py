"""From flags and corrections to failures; from a cycle's request to clusters, by way of a job."""

from __future__ import annotations

import asyncio
import logging
from asyncio import sleep
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from services.failure_clustering.cycle_files import List, cycle_file
from services.failure_clustering.cycle_is_due import why_cycle_is_due
from services.failure_clustering.failure import is_suspicion
from services.failure_clustering.settings import Settings
from services.failure_clustering.store import FailureStore
from shared.broker import Publish
from shared.consumer import ConsumerRecord
from shared.events import (
    CycleRequested,
    FailureClustersFound,
    FrozenFile,
    PredictionCorrected,
    PredictionFlagged,
    WorkloadAdded,
    derived_id,
)
from shared.files import Files
from shared.job_protocol import JobProgress
from shared.jobs import Job, JobRunner
from shared.projections import Workloads
from shared.service import Clock

CLUSTER = "cluster failures"
"""The kind of this service's jobs."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Handlers:
    """What happens on each event, and when no event comes."""

    store: FailureStore
    files: Files
    jobs: JobRunner
    publish: Publish
    clock: Clock
    workloads: Workloads
    settings: Settings

    async def on_workload_added(self, event: WorkloadAdded) -> None:
        self.workloads.apply(event)

    async def on_prediction_flagged(self, batch: Sequence[ConsumerRecord[PredictionFlagged]]) -> None:
        await self.store.keep_suspicions(consumed.event for consumed in batch if is_suspicion(consumed.event))

    async def on_prediction_corrected(self, batch: Sequence[ConsumerRecord[PredictionCorrected]]) -> None:
        await self.store.keep_corrections(consumed.event for consumed in batch)

    async def on_cycle_requested(self, event: CycleRequested) -> None:
        """Freezes what was known at the cut, once: a job that runs again gets the very same lists."""
        if self.workloads.get(event.workload) is None:
            # Nobody further down could ever handle it, and to wait for it would hold up all other cycles.
            log.warning("cycle %s: there is no workload %s; ignored", event.cycle_id, event.workload)
            return
        still = (event.cut - self.clock()).total_seconds() + self.settings.grace_seconds
        await sleep(min(max(still, 0.0), self.settings.grace_seconds))
        window = timedelta(seconds=self.settings.window_seconds)
        failures = await self.store.failures_at(event.workload, event.cut - window, event.cut)
        corrections = await self.store.corrections_at(event.workload, event.cut)
        task = {
            "cycle": event.model_dump(mode="json"),
            "failures": await self._freeze(event, "failures-at-cut", list(map(asdict, failures))),
            "corrections": await self._freeze(event, "corrections", corrections),
        }
        await self.jobs.want(event.cycle_id, CLUSTER, event.workload, task)
        if not await self.store.knows_cycle(event):
            await self.store.keep_cycle(event)

    async def start_due_cycles(self) -> None:
        """CycleRequested for each workload whose cycle is due; published twice, it is the same cycle."""
        for added in self.workloads.all():
            last_cut = await self.store.last_cut(added.name)
            since = last_cut or added.added_at
            news = await self.store.news(added.name, since)
            at = self.clock()
            reason = why_cycle_is_due(added.definition.cycle, since, at, news.failures, news.corrections)
            if reason is not None:
                cycle_id = derived_id("cycle", added.name, last_cut.isoformat() if last_cut else "first")
                await self.publish(
                    CycleRequested(
                        cycle_id=cycle_id, workload=added.name, cut=at, reason=reason, requested_by="tuneloop"
                    )
                )

    async def _freeze(
        self, event: CycleRequested, name: List, rows: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        frozen = await asyncio.to_thread(self.files.freeze_rows, cycle_file(event, name), rows)
        return frozen.model_dump(mode="json")


@dataclass(frozen=True)
class Outcome:
    """What a cycle's job came to."""

    store: FailureStore
    files: Files
    publish: Publish
    clock: Clock

    async def on_progress(self, job: Job, progress: JobProgress) -> None:
        log.info("cycle %s: %s %d of %d", job.job_id, progress.phase, progress.done, progress.total)

    async def on_done(self, job: Job) -> None:
        found = await self._unclustered(job) if job.result is None else FailureClustersFound(**job.result)
        await self.store.keep_found(found, await asyncio.to_thread(self.files.rows, found.failures))
        await self.publish(found)

    async def _unclustered(self, job: Job) -> FailureClustersFound:
        """No clusters, but all corrections: one can learn from them without knowing how they group."""
        log.error("cycle %s goes on without clusters: %s", job.job_id, job.error)
        cycle = CycleRequested.model_validate(job.task["cycle"])
        listed = await asyncio.to_thread(self.files.rows, FrozenFile(**job.task["failures"]))
        alone = [{"prediction_id": row["prediction_id"], "cluster_id": None} for row in listed]
        return FailureClustersFound(
            cycle_id=cycle.cycle_id,
            workload=cycle.workload,
            cutoff=cycle.cut,
            clusters=[],
            failures=await asyncio.to_thread(self.files.freeze_rows, cycle_file(cycle, "failures"), alone),
            corrections=FrozenFile(**job.task["corrections"]),
            found_at=self.clock(),
        )
