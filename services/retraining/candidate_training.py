"""From a dataset version to a frozen adapter that is not live."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from services.retraining.adapter_card import adapter_card, adapter_name
from services.retraining.job_messages import TrainResult, TrainTask
from services.retraining.settings import Settings
from shared.adapters.contract import CONTRACT_FILE, AdapterContract
from shared.addresses import Addresses
from shared.events import CandidateTrained, now
from shared.files import Files
from shared.job_protocol import JobProgress, Refused, Report
from shared.training.defaults import plan
from shared.training.device import Device

PROGRESS_SECONDS = 1.0


def train_candidate(
    task: TrainTask,
    folder: Path,
    files: Files,
    addresses: Addresses,
    settings: Settings,
    report: Report,
) -> TrainResult:
    """Trains, writes the adapter's card and contract, and freezes all.

    Raises Refused when there is no use in trying. `report` is told of the first step, the last,
    and about one a second between.
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
    longest = max(len(workload.prompt_for(row["text"])) for row in rows)
    planned = plan(workload.training, len(rows), len(workload.labels), longest, 0, Device())
    report(JobProgress(phase="training", done=0, total=planned.max_steps))

    from services.retraining.trl_trainer import BaseModelMissing, Example, answer_tokens, train

    last_reported = 0.0

    def on_step(step: int, loss: float) -> None:
        nonlocal last_reported
        if step == planned.max_steps or time.monotonic() - last_reported >= PROGRESS_SECONDS:
            last_reported = time.monotonic()
            report(JobProgress(phase="training", done=step, total=planned.max_steps, loss=loss))

    examples = [Example(workload.prompt_for(row["text"]), added.answers[row["label"]]) for row in rows]
    try:
        trained = train(
            examples,
            base_model,
            workload.base_model,
            planned,
            settings.checkpoint_every,
            folder,
            on_step,
        )
    except BaseModelMissing as error:
        raise Refused(str(error)) from error
    adapter = folder / "adapter"
    card = adapter_card(workload, dataset, planned, trained.final_loss)
    (adapter / "README.md").write_text(card, "utf-8")
    contract = AdapterContract.of(
        added,
        answer_tokens(base_model, added.answers),
        dataset_id=dataset.dataset_id,
        dataset_digest=dataset.train.digest,
        method=planned.method,
        training=planned.model_dump(mode="json"),
        lora_r=planned.lora_r,
    )
    (adapter / CONTRACT_FILE).write_bytes(contract.written())
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
            steps=planned.max_steps,
            train_rows=len(rows),
            final_loss=trained.final_loss,
            seconds=trained.seconds,
            trained_at=now(),
        )
    )


def _base_model(base_models: str, name: str) -> str:
    """The base model's folder in BASE_MODELS, or its id on the model hub where that is not set."""
    if not base_models:
        return name
    folder = Path(base_models) / name
    if not (folder / "config.json").is_file():
        raise Refused(f"no base model {name} in {base_models}, which BASE_MODELS names. Put it there.")
    return str(folder)
