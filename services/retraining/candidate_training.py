"""From a dataset version to a frozen adapter that is not live."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from services.retraining.adapter_card import adapter_card, adapter_name
from services.retraining.base_model_folder import base_model_folder
from services.retraining.job_messages import TrainResult, TrainTask
from services.retraining.methods import method_named
from services.retraining.room import peak_memory_gb
from services.retraining.settings import Settings
from services.retraining.training_outcome import BaseModelMissing, CannotTrain, MemoryTaken, Trained
from services.retraining.training_rows import PromptTooLong
from services.retraining.training_warnings import warnings
from services.retraining.training_work import TrainingWork
from shared.adapters.contract import CONTRACT_FILE
from shared.adapters.signature import RETRAINING_SIGNING_KEY, Verifier, sign
from shared.addresses import Addresses
from shared.events import CandidateTrained, FrozenAdapter, now
from shared.files import Files
from shared.job_protocol import JobProgress, Refused, Report
from shared.training.plan import TrainingPlan

if TYPE_CHECKING:
    from services.retraining.training_preparation import Prepared

PROGRESS_SECONDS = 1.0


def train_candidate(
    task: TrainTask,
    folder: Path,
    files: Files,
    addresses: Addresses,
    settings: Settings,
    report: Report,
) -> TrainResult:
    """Trains, writes contract and card, signs and freezes all. Raises Refused when trying is no use.

    `report` is told of the first step, the last, and about one a second between.
    """
    workload = task.added.definition
    base_model = base_model_folder(addresses.base_models, workload.base_model)
    free = shutil.disk_usage(folder).free / 1e6
    if free < settings.free_megabytes:
        raise Refused(
            f"training needs {settings.free_megabytes} MB in {folder}, and {free:.0f} MB are free. Make room."
        )
    rows = workload.in_present_labels(files.rows(task.dataset.train))
    if not rows:
        raise Refused("the dataset has no row with a label that the workload still has. Publish another.")

    from services.retraining.training_preparation import prepared

    try:
        ready = prepared(task, base_model, rows, folder, settings.lora_rank)
        report(JobProgress(phase="training", done=0, total=ready.plan.max_steps))
        work = TrainingWork(
            examples=ready.examples,
            validation=ready.validation,
            base_model=base_model,
            base_model_name=workload.base_model,
            plan=ready.plan,
            checkpoint_every=settings.checkpoint_every,
            folder=folder,
            on_step=_reported(report, ready.plan),
            on_evaluated=lambda step, loss: report(_evaluated(ready.plan, step, loss)),
            highest_rank=settings.lora_rank,
            contract=ready.contract,
            adapters=_proved(task.adapters, files, Verifier(addresses.adapters_public_key)),
        )
        trained = method_named(ready.plan.method)(work)
        ready = ready.of_rank(trained.lora_r)
        doubted = _let_go(ready, trained, work)
    except (BaseModelMissing, CannotTrain, PromptTooLong) as error:
        raise Refused(str(error)) from error
    said = (*warnings(ready.plan, len(ready.examples), trained.rows_seen, ready.cut), *doubted)
    estimated = ready.needed.memory if ready.needed else None
    memory = MemoryTaken(peak_memory_gb(ready.plan.device.kind), estimated)
    return _frozen(task, ready, trained, memory, said, work.adapter_folder, files, settings)


def _let_go(ready: Prepared, trained: Trained, work: TrainingWork) -> tuple[str, ...]:
    """Writes the contract beside the weights, then tries what lies there. Says what is in doubt.

    Raises NotToLeave.
    """
    from services.retraining.leaving import Leaving, refuse_to_let_go

    came = {"steps": trained.steps, "best_step": trained.best_step, "rows_seen": trained.rows_seen}
    contract = ready.contract.model_copy(update={"training": ready.contract.training | came})
    (work.adapter_folder / CONTRACT_FILE).write_bytes(contract.written())
    validation, others = ready.probes
    return refuse_to_let_go(
        Leaving(
            folder=work.adapter_folder,
            base_model=ready.base_model,
            device=ready.plan.device,
            trained=trained,
            validation=validation,
            others=others,
            highest_rank=work.highest_rank,
        )
    )


def _frozen(
    task: TrainTask,
    ready: Prepared,
    trained: Trained,
    memory: MemoryTaken,
    said: tuple[str, ...],
    adapter: Path,
    files: Files,
    settings: Settings,
) -> TrainResult:
    """The adapter with its card and its signature, where nobody changes it again."""
    workload, dataset = task.added.definition, task.dataset
    card = adapter_card(workload, dataset, ready.plan, trained, memory, said)
    (adapter / "README.md").write_text(card, "utf-8")
    if settings.signing_key:
        sign(adapter, settings.signing_key, RETRAINING_SIGNING_KEY)
    return TrainResult(
        trained=CandidateTrained(
            run_id=task.run_id,
            workload=workload.name,
            dataset_id=dataset.dataset_id,
            cycle_id=dataset.cycle_id,
            cutoff=dataset.cutoff,
            candidate=files.freeze_adapter(
                adapter_name(workload, dataset.version), adapter, workload.base_model
            ),
            method=ready.plan.method,
            steps=trained.steps,
            train_rows=ready.plan.rows,
            final_loss=trained.final_loss,
            eval_loss=trained.eval_loss,
            rows_seen=trained.rows_seen,
            epochs_seen=trained.rows_seen / len(ready.examples),
            warnings=said,
            plan=ready.contract.training,
            seconds=trained.seconds,
            peak_memory_gb=memory.peak,
            estimated_memory_gb=memory.estimated,
            trained_at=now(),
        )
    )


def _proved(adapters: Sequence[FrozenAdapter], files: Files, verifier: Verifier) -> list[Path]:
    """Folders of adapters that are ours: nobody else's weights get into one by fusion."""
    folders = [files.adapter_folder(adapter) for adapter in adapters]
    for folder in folders:
        verifier.verify(folder)
    return folders


def _reported(report: Report, planned: TrainingPlan) -> Callable[[int, float], None]:
    last = 0.0

    def on_step(step: int, loss: float) -> None:
        nonlocal last
        if step == planned.max_steps or time.monotonic() - last >= PROGRESS_SECONDS:
            last = time.monotonic()
            report(JobProgress(phase="training", done=step, total=planned.max_steps, loss=loss))

    return on_step


def _evaluated(planned: TrainingPlan, step: int, loss: float) -> JobProgress:
    return JobProgress(phase="training", done=step, total=planned.max_steps, eval_loss=loss)
