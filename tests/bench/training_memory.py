"""Whether a training takes the memory that was counted before it: each method in a process of its own.

The process is that of retraining, as the service starts it, on rows of the demo: base model read, a few
steps, adapter written, read back and tried. Estimate and peak are those that its event carries.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.demo.licences import licences
from services.retraining.job_messages import TRAIN, TrainTask
from shared.events import CandidateTrained, DatasetCounts, DatasetPublished, WorkloadAdded
from shared.files import Files
from shared.job_protocol import Order, Refusal, Result
from shared.workload import Workload
from tests.servers.model import base_model_folder
from tests.services.retraining.test_training import JOB_ID, Child

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
METHODS = ("lora", "qlora", "full")
ANSWERS = {"first": " A", "second": " B"}
"""Each for half of the demo's licences: every tokenizer has a token for it."""


def rows(count: int) -> list[dict[str, str]]:
    data = licences()
    labels = data.definition.workload.labels
    return [
        {"text": row.text, "label": "first" if labels.index(row.label) < len(labels) / 2 else "second"}
        for row in [*data.seed, *data.stream][:count]
    ]


def trained(folder: Path, base_model: Path, count: int, training: dict[str, Any]) -> CandidateTrained:
    """By the process of retraining, below `folder`. Raises SystemExit if it is refused or dies."""
    files = Files((folder / "files").as_uri(), folder / "cache")
    frozen = files.freeze_rows("rows", rows(count))
    workload = Workload.written(
        {
            "name": "memory",
            "title": "Memory",
            "base_model": base_model.name,
            "prompt": "{text}\nLicence:",
            "labels": list(ANSWERS),
            "training": training,
        }
    )
    added = WorkloadAdded(revision=1, definition=workload, answers=ANSWERS, rows=frozen, added_at=AT)
    dataset = DatasetPublished(
        dataset_id="d1", workload="memory", version=1, cycle_id=None, cutoff=AT, train=frozen, golden=frozen,
        held_out=frozen, manifest=frozen, counts=DatasetCounts(), published_at=AT,
    )  # fmt: skip
    task = TrainTask(run_id="r1", dataset=dataset, added=added)
    order = Order(job_id=JOB_ID, kind=TRAIN, task=task.model_dump(mode="json"), folder=str(folder / "job"))
    child = Child(
        order,
        FILES_URI=(folder / "files").as_uri(),
        STATE_FOLDER=str(folder),
        BASE_MODELS=str(base_model.parent),
    )
    for said in child.says():
        if isinstance(said, Refusal):
            raise SystemExit(said.refused)
        if isinstance(said, Result):
            return CandidateTrained.model_validate(said.result["trained"])
    raise SystemExit(f"the training ended with {child.process.wait()} and without an answer")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.training_memory", description=__doc__)
    parser.add_argument("--base-model", type=Path, help="a folder; left out: the base model of the tests")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--method", choices=METHODS, help="left out: one after another")
    parser.add_argument("--training", type=json.loads, default={}, help="settings of [training] as JSON")
    given = parser.parse_args()
    base_model = (given.base_model or base_model_folder()).resolve()
    figures: dict[str, Any] = {}
    for method in [given.method] if given.method else METHODS:
        with tempfile.TemporaryDirectory() as folder:
            said = {"epochs": 2, **given.training, "method": method}
            made = trained(Path(folder), base_model, given.rows, said)
        estimated, peak = made.estimated_memory_gb, made.peak_memory_gb
        assert made.plan is not None
        assert estimated is not None
        assert peak is not None
        figures[method] = {
            "estimated_gb": round(estimated, 2),
            "peak_gb": round(peak, 2),
            "ratio": round(estimated / peak, 2),
        }
        what = f"{made.steps} steps of {made.plan['batch_size']} rows, {made.plan['device']['dtype']}"
        print(f"{method:6}  {estimated:5.2f} GB estimated  {peak:5.2f} GB taken  {what}", flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
