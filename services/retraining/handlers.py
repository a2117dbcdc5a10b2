"""A dataset version becomes a run: trained, then evaluated, and published at every step."""

from __future__ import annotations

from dataclasses import dataclass

from services.retraining.job_messages import (
    EVALUATE,
    TRAIN,
    EvaluateResult,
    EvaluateTask,
    TrainResult,
    TrainTask,
)
from services.retraining.store import RunStore
from shared.broker import Publish
from shared.events import (
    DatasetPublished,
    ModelPromoted,
    ModelRolledBack,
    TrainingFailed,
    TrainingProgressed,
    WorkloadAdded,
    derived_id,
)
from shared.job_protocol import JobProgress
from shared.jobs import Job, JobRunner, JobTable
from shared.projections import Champions, Workloads
from shared.service import Clock


@dataclass(frozen=True)
class Handlers:
    workloads: Workloads
    champions: Champions
    store: RunStore
    jobs: JobRunner
    clock: Clock

    async def on_workload_added(self, event: WorkloadAdded) -> None:
        self.workloads.apply(event)

    async def on_champion_changed(self, event: ModelPromoted | ModelRolledBack) -> None:
        self.champions.apply(event)

    async def on_dataset_published(self, event: DatasetPublished) -> None:
        """One run per dataset, however often it is published."""
        added = self.workloads.known(event.workload)
        run_id = derived_id("run", event.dataset_id)
        await self.store.training(run_id, event, self.clock())
        task = TrainTask(run_id=run_id, dataset=event, added=added)
        await self.jobs.submit(run_id, TRAIN, event.workload, task.model_dump(mode="json"))


@dataclass(frozen=True)
class Outcome:
    """Stores what a child process made, then publishes it. Doing it again publishes the same events again."""

    champions: Champions
    store: RunStore
    jobs: JobTable
    publish: Publish
    clock: Clock

    async def on_progress(self, job: Job, progress: JobProgress) -> None:
        task = TrainTask.model_validate(job.task)
        progressed = TrainingProgressed(
            run_id=task.run_id,
            workload=task.dataset.workload,
            progressed_at=self.clock(),
            **progress.model_dump(),
        )
        await self.publish(progressed)

    async def on_done(self, job: Job) -> None:
        if job.result is None:
            await self._failed(job)
        elif job.kind == TRAIN:
            await self._trained(job, TrainResult.model_validate(job.result))
        else:
            await self._evaluated(job, EvaluateResult.model_validate(job.result))

    async def _trained(self, job: Job, result: TrainResult) -> None:
        task, trained = TrainTask.model_validate(job.task), result.trained
        champion = self.champions.of(trained.workload)
        models = [task.added.definition.base_model, *([champion.digest] if champion else [])]
        evaluate = EvaluateTask(
            run_id=task.run_id,
            dataset=task.dataset,
            added=task.added,
            trained=trained,
            champion=champion,
            known=await self.store.answers_of(models),
        )
        await self.store.evaluating(trained)
        await self.jobs.submit(
            f"{task.run_id}-evaluate", EVALUATE, trained.workload, evaluate.model_dump(mode="json")
        )
        await self.publish(trained)

    async def _evaluated(self, job: Job, result: EvaluateResult) -> None:
        evaluated = result.evaluated
        await self.store.keep_answers(result.answers, evaluated.evaluated_at)
        await self.store.evaluated(evaluated, EvaluateTask.model_validate(job.task).trained)
        await self.publish(evaluated)

    async def _failed(self, job: Job) -> None:
        task = TrainTask.model_validate(job.task)
        failed = TrainingFailed(
            run_id=task.run_id,
            workload=task.dataset.workload,
            dataset_id=task.dataset.dataset_id,
            cycle_id=task.dataset.cycle_id,
            reason=job.error or "the job ended without an answer",
            failed_at=self.clock(),
        )
        await self.store.failed(failed, task.dataset)
        await self.publish(failed)
