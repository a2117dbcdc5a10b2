"""From a cycle's start to its clusters, by way of a job."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from services.failure_clustering.clustering import Clustered
from services.failure_clustering.cycle_files import clustered_failures
from services.failure_clustering.store import FailureStore
from services.failure_clustering.task import Task
from shared.broker import Publish
from shared.events import CycleStarted, FailureClustersFound
from shared.files import Files
from shared.job_protocol import JobProgress
from shared.jobs import Job, JobRunner
from shared.service import Clock

CLUSTER = "cluster failures"
"""The kind of this service's jobs."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Handlers:
    store: FailureStore
    files: Files
    jobs: JobRunner

    async def on_cycle_started(self, event: CycleStarted) -> None:
        """Its lists are frozen: a cycle started again is the very same work."""
        await self.store.keep_failures(event, await asyncio.to_thread(self.files.rows, event.failures))
        task = Task.of_cycle(event).model_dump(mode="json")
        await self.jobs.submit(event.cycle_id, CLUSTER, event.workload, task)


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
        clustered = await self._unclustered(job) if job.result is None else Clustered.read(job.result)
        members = await asyncio.to_thread(self.files.rows, clustered.found.failures)
        await self.store.keep_clustered(clustered, members)
        await self.publish(clustered.found)

    async def _unclustered(self, job: Job) -> Clustered:
        """No clusters, but all corrections: one can learn from them without knowing how they group."""
        log.error("cycle %s goes on without clusters: %s", job.job_id, job.error)
        task = Task.read(job.task)
        listed = await asyncio.to_thread(self.files.rows, task.failures)
        alone = [{"prediction_id": row["prediction_id"], "cluster_id": None} for row in listed]
        name = clustered_failures(task.workload, task.cycle_id)
        found = FailureClustersFound(
            cycle_id=task.cycle_id,
            workload=task.workload,
            cutoff=task.cutoff,
            clusters=[],
            failures=await asyncio.to_thread(self.files.freeze_rows, name, alone),
            corrections=task.corrections,
            found_at=self.clock(),
        )
        return Clustered(found=found, centroids={}, gone=[])
