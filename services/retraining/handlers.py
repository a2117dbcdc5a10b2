"""A dataset version becomes a run: trained, then evaluated, and published at every step."""

from __future__ import annotations

from dataclasses import dataclass

from services.retraining.dataset_revision import is_ahead
from services.retraining.job_messages import (
    EVALUATE,
    TRAIN,
    EvaluateResult,
    EvaluateTask,
    TrainResult,
    TrainTask,
)
from services.retraining.retirement import RETIRED, is_ended
from services.retraining.store import RunStore
from shared.broker import Publish
from shared.events import (
    DatasetPublished,
    ModelPromoted,
    ModelRolledBack,
    RunCancelRequested,
    TrainingFailed,
    TrainingProgressed,
    TrainingRequested,
    WorkloadAdded,
)
from shared.job_protocol import JobProgress
from shared.jobs import Job, JobRunner, JobTable
from shared.projections import Champions, Workloads
from shared.service import Clock


class NotHereYet(Exception):
    """An event came before one that it rests on. It is handled when that one has come."""


@dataclass(frozen=True)
class Handlers:
    workloads: Workloads
    champions: Champions
    store: RunStore
    jobs: JobRunner
    table: JobTable
    clock: Clock

    async def on_workload_added(self, event: WorkloadAdded) -> None:
        """Runs of a workload end with its retirement: their candidates would answer nobody."""
        self.workloads.apply(event)
        if event.is_retired:
            for job in await self.table.unpublished():
                added = WorkloadAdded.model_validate(job.task["added"])
                if added.name == event.name and is_ended(added.revision, [event]):
                    await self.jobs.cancel(job.job_id, RETIRED)

    async def on_champion_changed(self, event: ModelPromoted | ModelRolledBack) -> None:
        self.champions.apply(event)

    async def on_dataset_published(self, event: DatasetPublished) -> None:
        """One run per dataset, however often it is published, by the newest definition that has come.

        Raises NotHereYet before the revision that the dataset was made of has come.
        """
        if is_ahead(event, self.workloads.revisions(event.workload)):
            raise NotHereYet(f"the revision of {event.workload} that dataset {event.dataset_id} was made of")
        added = self.workloads.known(event.workload)
        fused = await self.store.adapters(event.workload, added.definition.training.adapters or ())
        run_id = event.run_of(event.dataset_id)
        await self._begin(TrainTask(run_id=run_id, dataset=event, added=added, adapters=fused))

    async def on_training_requested(self, event: TrainingRequested) -> None:
        """One run per request, by the definition that was asked for, whatever became of it since.

        Raises NotHereYet before the dataset or that revision has come.
        """
        added = self.workloads.at(event.workload, event.revision)
        if added is None:
            raise NotHereYet(f"revision {event.revision} of {event.workload}")
        first = await self.table.get(DatasetPublished.run_of(event.dataset_id))
        if first is None:
            raise NotHereYet(f"dataset {event.dataset_id} of {event.workload}")
        definition = added.definition.model_copy(update={"training": event.training})
        task = TrainTask(
            run_id=event.run_id,
            dataset=TrainTask.model_validate(first.task).dataset,
            added=added.model_copy(update={"definition": definition}),
            adapters=tuple(event.adapters),
            requested_by=event.requested_by,
        )
        await self._begin(task)

    async def on_run_cancel_requested(self, event: RunCancelRequested) -> None:
        """It may come before its run does, so it is kept, and looked for when a job is submitted."""
        await self.store.keep_cancellation(event)
        await self._cancel_if_wanted(event.run_id)

    async def _begin(self, task: TrainTask) -> None:
        wanted = task.added.definition.training
        await self.store.training(task.run_id, task.dataset, wanted, task.requested_by, self.clock())
        await self.jobs.submit(task.run_id, TRAIN, task.added.name, task.model_dump(mode="json"))
        await self._cancel_if_wanted(task.run_id)
        if is_ended(task.added.revision, self.workloads.revisions(task.added.name)):
            await self.jobs.cancel(task.run_id, RETIRED)

    async def _cancel_if_wanted(self, run_id: str) -> None:
        if why := await self.store.why_cancelled(run_id):
            await self.jobs.cancel(run_id, why)
            await self.jobs.cancel(evaluation_of(run_id), why)


@dataclass(frozen=True)
class Outcome:
    """Stores what a child process made, then publishes it. Doing it again publishes the same events again."""

    workloads: Workloads
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
            added=self._now(task.added),
            trained=trained,
            champion=champion,
            known=await self.store.answers_of(models),
            requested_by=task.requested_by,
        )
        await self.store.evaluating(trained, task.added.definition.training, task.requested_by)
        job_id = evaluation_of(task.run_id)
        await self.jobs.submit(job_id, EVALUATE, trained.workload, evaluate.model_dump(mode="json"))
        if why := await self.store.why_cancelled(task.run_id):
            await self.jobs.cancel(job_id, why)
        if is_ended(task.added.revision, self.workloads.revisions(trained.workload)):
            await self.jobs.cancel(job_id, RETIRED)
        await self.publish(trained)

    def _now(self, added: WorkloadAdded) -> WorkloadAdded:
        """The definition as it is by now: a label renamed while this run trained goes by its new name.

        What the run trained with stays on record, and how the models are asked they bring themselves.
        """
        known = self.workloads.known(added.name)
        definition = known.definition.model_copy(update={"training": added.definition.training})
        return known.model_copy(update={"definition": definition})

    async def _evaluated(self, job: Job, result: EvaluateResult) -> None:
        evaluated, task = result.evaluated, EvaluateTask.model_validate(job.task)
        wanted = task.added.definition.training
        await self.store.keep_answers(result.answers, evaluated.evaluated_at)
        await self.store.evaluated(evaluated, task.trained, wanted, task.requested_by)
        await self.publish(evaluated)

    async def _failed(self, job: Job) -> None:
        evaluate = EvaluateTask.model_validate(job.task) if job.kind == EVALUATE else None
        task = evaluate or TrainTask.model_validate(job.task)
        failed = TrainingFailed(
            run_id=task.run_id,
            workload=task.dataset.workload,
            dataset_id=task.dataset.dataset_id,
            cycle_id=task.dataset.cycle_id,
            reason=job.error or "the job ended without an answer",
            failed_at=self.clock(),
        )
        trained = evaluate.trained if evaluate else None
        wanted = task.added.definition.training
        await self.store.failed(failed, task.dataset, trained, wanted, task.requested_by)
        await self.publish(failed)


def evaluation_of(run_id: str) -> str:
    """The id of the job that evaluates a run's candidate; the run's own id is that of its training."""
    return f"{run_id}-evaluate"
