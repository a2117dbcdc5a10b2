"""From a dataset version to a frozen adapter that is not live."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from services.retraining.adapter_card import adapter_card, adapter_name
from services.retraining.job_messages import TrainResult, TrainTask
from services.retraining.room import why_no_room
from services.retraining.settings import Settings
from services.retraining.training_outcome import (
    BaseModelMissing,
    CannotTrain,
    Trained,
)
from services.retraining.training_rows import PromptTooLong, TrainingRows, probes
from services.retraining.training_warnings import warnings
from services.retraining.training_work import TrainingWork
from services.retraining.validation_split import split
from shared.adapters.contract import CONTRACT_FILE, AdapterContract
from shared.adapters.signature import Verifier, sign
from shared.addresses import Addresses
from shared.events import CandidateTrained, FrozenAdapter, now
from shared.files import Files
from shared.job_protocol import JobProgress, Refused, Report
from shared.training.base_model_shape import BaseModelShape
from shared.training.defaults import plan, validated
from shared.training.plan import TrainingPlan
from shared.training.section import Method, Training

PROGRESS_SECONDS = 1.0
FEWEST_TO_FUSE = 2


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
    added, dataset = task.added, task.dataset
    workload = added.definition
    base_model = _base_model(addresses.base_models, workload.base_model)
    free = shutil.disk_usage(folder).free / 1e6
    if free < settings.free_megabytes:
        raise Refused(
            f"training needs {settings.free_megabytes} MB in {folder}, and {free:.0f} MB are free. Make room."
        )
    rows = workload.in_present_labels(files.rows(dataset.train))
    if not rows:
        raise Refused("the dataset has no row with a label that the workload still has. Publish another.")

    from services.retraining import base_model as base_models
    from services.retraining.leaving import Leaving, refuse_to_let_go

    try:
        base = base_models.describe(base_model)
        tokens = base_models.tokens_of(base.tokenizer, added.answers)
        training_rows = TrainingRows(workload, added.answers, base.count)
        seed = 1 if workload.training.seed is None else workload.training.seed
        trained_rows, validation_rows = split(
            rows, validated(len(rows), workload.training.validation_share), seed
        )
        planned = plan(
            _with_its_adapters(workload.training, [adapter.name for adapter in task.adapters]),
            len(rows),
            len(workload.labels),
            training_rows.longest(rows),
            base.parameters,
            base_models.this_device(),
            base.context,
            len(validation_rows),
        )
        shape = BaseModelShape.of(base.config.to_dict())
        attention = base_models.attention(planned.device)
        if reason := why_no_room(planned, shape, training_rows.longest(rows), attention, folder):
            raise CannotTrain(reason)
        report(JobProgress(phase="training", done=0, total=planned.max_steps))
        examples, cut = training_rows.examples(trained_rows, planned.max_length)
        validation, cut_there = training_rows.examples(validation_rows, planned.max_length)
        settled = planned.model_dump(mode="json")
        contract = AdapterContract.of(
            added,
            tokens,
            dataset_id=dataset.dataset_id,
            dataset_digest=dataset.train.digest,
            base_model_digest=base_models.digest(base_model),
            tokenizer_digest=base_models.digest_of_tokenizer(base.tokenizer),
            method=planned.method,
            training=settled,
            lora_r=planned.lora_r,
        )
        trained = _method(planned.method)(
            TrainingWork(
                examples=examples,
                validation=validation,
                base_model=base_model,
                base_model_name=workload.base_model,
                plan=planned,
                checkpoint_every=settings.checkpoint_every,
                folder=folder,
                on_step=_reported(report, planned),
                on_evaluated=lambda step, loss: report(_evaluated(planned, step, loss)),
                highest_rank=settings.lora_rank,
                contract=contract,
                adapters=_proved(task.adapters, files, Verifier(addresses.adapters_public_key)),
            )
        )
        if trained.lora_r is not None:
            contract = contract.model_copy(update={"lora_r": trained.lora_r})
        adapter = folder / "adapter"
        (adapter / CONTRACT_FILE).write_bytes(contract.written())
        refuse_to_let_go(
            Leaving(
                folder=adapter,
                base_model=base_model,
                device=planned.device,
                trained=trained,
                validation=probes(validation_rows, validation),
                others=probes(trained_rows, examples),
                highest_rank=settings.lora_rank,
            )
        )
    except (BaseModelMissing, CannotTrain, PromptTooLong) as error:
        raise Refused(str(error)) from error
    said = (*trained.warnings, *warnings(planned, len(examples), trained.rows_seen, cut + cut_there))
    (adapter / "README.md").write_text(adapter_card(workload, dataset, planned, trained, said), "utf-8")
    if settings.signing_key:
        sign(adapter, settings.signing_key)
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
            method=planned.method,
            steps=trained.steps,
            train_rows=len(rows),
            final_loss=trained.final_loss,
            eval_loss=trained.eval_loss,
            rows_seen=trained.rows_seen,
            epochs_seen=trained.rows_seen / len(examples),
            warnings=said,
            plan=settled,
            seconds=trained.seconds,
            trained_at=now(),
        )
    )


def _method(name: Method) -> Callable[[TrainingWork], Trained]:
    """The function that trains by it. Each brings heavy libraries, so only the one is imported."""
    match name:
        case "lora":
            from services.retraining.methods.lora import train

            return train
        case "qlora":
            from services.retraining.methods.qlora import train as train_quantised

            return train_quantised
        case "full":
            from services.retraining.methods.full import train as train_all_weights

            return train_all_weights
        case "fusion":
            from services.retraining.methods.fusion import fuse

            return fuse


def _with_its_adapters(training: Training, known: Sequence[str]) -> Training:
    """The section, naming the adapters that were asked for and found. Raises CannotTrain."""
    if training.method != "fusion":
        return training
    missing = [name for name in training.adapters or () if name not in known]
    if len(known) < FEWEST_TO_FUSE or (missing and len(known) < len(training.adapters or ())):
        raise CannotTrain(
            f"a fusion is made of two adapters or more of this workload, and it has {len(known)} of those "
            f"named{': not ' + ', '.join(missing) if missing else ''}. See: tuneloop adapters list"
        )
    return training.model_copy(update={"adapters": tuple(known)})


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


def _base_model(base_models: str, name: str) -> str:
    """The base model's folder in BASE_MODELS, or its id on the model hub where that is not set."""
    if not base_models:
        return name
    folder = Path(base_models) / name
    if not (folder / "config.json").is_file():
        raise Refused(f"no base model {name} in {base_models}, which BASE_MODELS names. Put it there.")
    return str(folder)
