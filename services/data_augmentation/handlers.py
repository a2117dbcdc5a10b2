"""Takes a workload or a cycle's failures, submits a job for its dataset, and publishes what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.data_augmentation.store import DatasetStore, DatasetVersion, Seed
from shared.broker import Publish
from shared.events import DatasetPublished, DatasetRefused, FailureClustersFound, WorkloadAdded
from shared.job_protocol import JobProgress
from shared.jobs import Job, JobRunner
from shared.projections import Workloads
from shared.service import Clock

DATASET = "dataset"
"""The kind of this service's jobs."""


@dataclass(frozen=True)
class Handlers:
    workloads: Workloads
    jobs: JobRunner

    async def on_workload_added(self, event: WorkloadAdded) -> None:
        """The rows become a dataset version, once; so do a later revision's that trains differently."""
        held = self.workloads.get(event.name)
        if held is None or (held.revision < event.revision and event.trains_differently_from(held)):
            await self._submit(DatasetPublished.id_of_revision(event.name, event.revision), event, None)
        self.workloads.apply(event)

    async def on_failure_clusters_found(self, event: FailureClustersFound) -> None:
        added = self.workloads.known(event.workload)
        await self._submit(DatasetPublished.id_of_cycle(event.workload, event.cycle_id), added, event)

    async def _submit(
        self, dataset_id: str, added: WorkloadAdded, found: FailureClustersFound | None
    ) -> None:
        task = {
            "dataset_id": dataset_id,
            "added": added.model_dump(mode="json"),
            "found": found and found.model_dump(mode="json"),
        }
        await self.jobs.submit(dataset_id, DATASET, added.name, task)


@dataclass(frozen=True)
class Outcome:
    """Stores what a job's child made, then publishes it. Doing it again publishes the same events again."""

    store: DatasetStore
    publish: Publish
    clock: Clock
    phases: dict[str, str] = field(default_factory=dict)
    """Job id → what its child was last busy with, so that a refusal can say it."""

    async def on_progress(self, job: Job, progress: JobProgress) -> None:
        self.phases[job.job_id] = progress.phase

    async def on_done(self, job: Job) -> None:
        if job.result is None:
            refused = self._refused(job)
            await self.store.refuse(refused)
            await self.publish(refused)
            return
        version = DatasetVersion.model_validate(job.result["published"])
        if "seed" in job.result:
            await self.store.keep_seed(Seed.model_validate(job.result["seed"]), version.event.published_at)
        await self.store.keep(version)
        await self.publish(version.event)

    def _refused(self, job: Job) -> DatasetRefused:
        found, added = job.task["found"], job.task["added"]
        phase = self.phases.pop(job.job_id, None)
        reason = job.error or "the job ended without an answer"
        if phase is not None and "failed" in reason:
            reason += f", while {phase}; its error is in the log. Unredacted, nothing is published."
        return DatasetRefused(
            workload=added["definition"]["name"],
            cycle_id=found and found["cycle_id"],
            cutoff=found["cutoff"] if found else added["added_at"],
            reason=reason,
            refused_at=self.clock(),
        )
