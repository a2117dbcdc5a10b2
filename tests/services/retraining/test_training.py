"""A real training of the real base model, killed after a checkpoint and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.retraining.adapter_card import as_markdown
from services.retraining.job_messages import TRAIN, TrainTask
from shared.adapters.contract import CONTRACT_FILE, AdapterContract
from shared.events import CandidateTrained, DatasetCounts, DatasetPublished, WorkloadAdded
from shared.files import Files
from shared.job_protocol import JobProgress, Order, Refusal, Result, read_line
from shared.workload import Training, Workload
from tests.servers.model import ROOT, base_model_folder

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)
JOB_ID = "r1"


class Child:
    """`python -m services.retraining.job` at one order; gives what it says, as it says it."""

    def __init__(self, order: Order, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services.retraining.job"],
            cwd=ROOT,
            env=os.environ | {"HF_HUB_OFFLINE": "1"} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(order.model_dump_json().encode())
        self.process.stdin.close()

    def says(self) -> Iterator[JobProgress | Result | Refusal]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if (said := read_line(JOB_ID, line)) is not None:
                yield said

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files((tmp_path / "files").as_uri(), tmp_path / "cache")


def order(files: Files, folder: Path, **training: Any) -> Order:
    rows = [
        {"text": f"{'refund my money' if number % 2 else 'where is my parcel'}, please, order {number}",
         "label": "billing" if number % 2 else "delivery", "prediction_id": None}
        for number in range(16)
    ]  # fmt: skip
    workload = Workload(
        name="tickets",
        title="Tickets",
        prompt="{text}\nTopic:",
        labels=("billing", "delivery"),
        credit="Rows made up for a test.",
        training=Training(rank=4, batch_size=4, **training),
    )
    frozen = files.freeze_rows("rows", rows)
    added = WorkloadAdded(
        revision=1,
        definition=workload,
        answers={"billing": " A", "delivery": " B"},
        rows=frozen,
        added_at=AT,
    )
    dataset = DatasetPublished(
        dataset_id="d1",
        workload="tickets",
        version=3,
        cycle_id="c1",
        cutoff=AT,
        train=frozen,
        golden=frozen,
        held_out=frozen,
        manifest=frozen,
        counts=DatasetCounts(),
        published_at=AT,
    )
    task = TrainTask(run_id="r1", dataset=dataset, added=added)
    return Order(job_id=JOB_ID, kind=TRAIN, task=task.model_dump(mode="json"), folder=str(folder))


def test_a_killed_training_goes_on_from_its_checkpoint_and_learns(files: Files, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    published = order(files, folder, epochs=1.0, max_steps=3)
    environment = {
        "FILES_URI": (tmp_path / "files").as_uri(),
        "STATE_FOLDER": str(tmp_path),
        "BASE_MODELS": str(base_model_folder().parent),
        "RETRAINING_CHECKPOINT_EVERY": "1",
    }
    first = Child(published, **environment)
    for said in first.says():
        assert isinstance(said, JobProgress)
        if said.done >= 1 and list(folder.glob("checkpoints/*/trainer_state.json")):
            break
    first.kill()
    (half,) = folder.glob("checkpoints/checkpoint-*")
    done = int(half.name.rpartition("-")[2])
    torn = half.with_name("checkpoint-99")
    torn.mkdir()
    (torn / "adapter_model.safetensors").write_bytes(b"torn")

    *progress, result = Child(published, **environment).says()
    assert progress[0] == JobProgress(phase="training", done=0, total=3)
    steps = [one.done for one in progress if isinstance(one, JobProgress)]
    assert (steps[1], steps[-1]) == (done + 1, 3)
    assert isinstance(result, Result)
    trained = CandidateTrained.model_validate(result.result["trained"])
    losses = [json.loads(entry) for entry in _losses(folder)]
    assert losses[0] > 1.2 * losses[-1]
    assert trained.final_loss == pytest.approx(losses[-1], rel=0.01)
    assert (trained.steps, trained.rows_seen, trained.epochs_seen) == (3, 12, 0.75)
    warning, doubt = trained.warnings
    assert warning.startswith("4 of 16 training rows were never seen")
    assert doubt.startswith("Nothing says that it learnt: 0 validation rows are too few.")
    assert trained.plan is not None
    assert (trained.plan["max_steps"], trained.plan["lora_r"], trained.plan["learning_rate"]) == (3, 4, 2e-3)
    assert trained.candidate.name.startswith("tickets-smollm2-135m-v3-")
    adapter = files.adapter_folder(trained.candidate)
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "SmolLM2-135M-Instruct"
    card = (adapter / "README.md").read_text()
    assert "Rows made up for a test." in card
    assert f"- **{as_markdown(warning)}**\n- **{as_markdown(doubt)}**" in card
    assert "| learning_rate | 0.002 |" in card
    contract = AdapterContract.read((adapter / CONTRACT_FILE).read_bytes())
    assert contract.training == trained.plan | {"steps": 3, "best_step": 3, "rows_seen": 12}
    assert str(tmp_path) not in card
    assert {path.name for path in adapter.iterdir()} == {
        "README.md",
        "contract.json",
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    contract = AdapterContract.read((adapter / "contract.json").read_bytes())
    assert (contract.workload, contract.revision, contract.dataset_id) == ("tickets", 1, "d1")
    assert [label.answer for label in contract.labels] == [" A", " B"]
    assert contract.lora_r == config["r"]


def _losses(folder: Path) -> list[str]:
    (last,) = folder.glob("checkpoints/checkpoint-3/trainer_state.json")
    history = json.loads(last.read_text())["log_history"]
    return [json.dumps(entry["loss"]) for entry in history if "loss" in entry]


@pytest.mark.parametrize(
    ("setting", "value", "complaint"),
    [
        ("BASE_MODELS", "/nowhere", "no base model SmolLM2-135M-Instruct in /nowhere"),
        ("RETRAINING_FREE_MEGABYTES", "1000000000", "Make room"),
    ],
)
def test_what_cannot_succeed_is_refused_at_once(
    files: Files, tmp_path: Path, setting: str, value: str, complaint: str
) -> None:
    environment = {"FILES_URI": (tmp_path / "files").as_uri(), "BASE_MODELS": str(base_model_folder().parent)}
    environment[setting] = value
    (refusal,) = Child(order(files, tmp_path / "job"), **environment).says()
    assert isinstance(refusal, Refusal)
    assert complaint in refusal.refused
