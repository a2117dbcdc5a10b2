"""Whether a training that is killed, however often, ends with the weights it would have had.

`python -m tests.bench.resume --kills N [--method qlora]` runs the process of retraining on a tiny base model
once to its end, then kills it (SIGKILL) at random moments of its training and starts it again in its folder,
as the service does, until N were killed. A training that ends before that is compared and followed by
another. The last line is JSON: how many were killed, whether all weights are the very same, and the largest
difference of one.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Timer

import torch
from safetensors.torch import load_file

from services.retraining.job_messages import TRAIN, TrainTask
from shared.cpu_dtype import DType
from shared.events import CandidateTrained, DatasetCounts, DatasetPublished, FrozenAdapter, WorkloadAdded
from shared.files import Files
from shared.job_protocol import JobProgress, Order, Refusal, Result
from shared.training.section import Method
from shared.workload import Training, Workload
from tests.services.retraining.test_training import JOB_ID, Child
from tests.services.retraining.tiny_base_model import ANSWERS, NAME, PROMPT, rows, tiny_base_model

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)
ROWS, STEPS, CHECKPOINT_EVERY = 120, 48, 4
LEARNING_RATE: dict[Method, float] = {"lora": 1e-2, "qlora": 1e-2, "full": 1e-3}
DTYPE: DType = "float32"
"""Also where the CPU computes in bfloat16: what is said of the bench is the same on every machine."""
CHANCE = {"lora_dropout": 0.1, "neftune_noise_alpha": 5.0}
"""What draws random numbers at every step: they have to go on where they were, too."""


class Bench:
    """Where the trainings run. Every one is the same order, in a folder of its own."""

    def __init__(self, root: Path, method: Method) -> None:
        self._root = root
        tiny_base_model(root / "models" / NAME)
        self.files = Files((root / "files").as_uri(), root / "cache")
        self._task = _task(self.files, method).model_dump(mode="json")

    def start(self, name: str) -> Child:
        order = Order(job_id=JOB_ID, kind=TRAIN, task=self._task, folder=str(self._root / name))
        return Child(
            order,
            FILES_URI=(self._root / "files").as_uri(),
            STATE_FOLDER=str(self._root),
            BASE_MODELS=str(self._root / "models"),
            RETRAINING_CHECKPOINT_EVERY=str(CHECKPOINT_EVERY),
            TUNELOOP_DTYPE=DTYPE,
            CUDA_VISIBLE_DEVICES="",  # no GPU adds up twice in one order
        )

    def last_checkpoint(self, name: str) -> str:
        found = (self._root / name / "checkpoints").glob("checkpoint-*")
        return max((path.name for path in found), key=lambda one: int(one[11:]), default="no checkpoint")

    def weights(self, adapter: FrozenAdapter) -> dict[str, torch.Tensor]:
        loaded: dict[str, torch.Tensor] = load_file(
            self.files.adapter_folder(adapter) / "adapter_model.safetensors"
        )
        return loaded


def finished(child: Child, on_first_step: Callable[[], None] = lambda: None) -> FrozenAdapter | None:
    """The adapter; None if the process was killed. Raises RuntimeError if the training is refused."""
    has_begun = False
    for said in child.says():
        if isinstance(said, Refusal):
            raise RuntimeError(said.refused)
        if isinstance(said, Result):
            child.process.wait()
            return CandidateTrained.model_validate(said.result["trained"]).candidate
        if isinstance(said, JobProgress) and said.done and not has_begun:
            has_begun = True
            on_first_step()
    if (code := child.process.wait()) != -9:
        raise RuntimeError(f"the training ended with {code} and without an answer")
    return None


def killed_sometimes(
    bench: Bench, name: str, most: int, seconds: float, chance: random.Random
) -> tuple[FrozenAdapter, int]:
    """The adapter of a training that was killed `most` times at most, and how often it was."""
    kills = 0
    while True:
        child = bench.start(name)
        timer = Timer(chance.uniform(0.0, seconds), child.process.kill)
        adapter = finished(child, timer.start if kills < most else lambda: None)
        timer.cancel()
        if adapter is not None:
            return adapter, kills
        kills += 1
        print(f"{name}: killed after {bench.last_checkpoint(name)}", file=sys.stderr, flush=True)


def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Of all entries of all weights; infinity where they do not have the same."""
    if one.keys() != other.keys() or any(one[name].shape != other[name].shape for name in one):
        return float("inf")
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


def _task(files: Files, method: Method) -> TrainTask:
    frozen = files.freeze_rows("rows", rows(ROWS))
    training = {
        "method": method, "lora_r": 4, "learning_rate": LEARNING_RATE[method], "batch_size": 8,
        "epochs": 20.0, "max_steps": STEPS,
    }  # fmt: skip
    workload = Workload(
        name="tickets",
        title="Tickets",
        base_model=NAME,
        prompt=PROMPT,
        labels=tuple(ANSWERS),
        training=Training.model_validate(training | CHANCE),
    )
    return TrainTask(
        run_id="r1",
        dataset=DatasetPublished(
            dataset_id="d1", workload="tickets", version=1, cycle_id=None, cutoff=AT, train=frozen,
            golden=frozen, held_out=frozen, manifest=frozen, counts=DatasetCounts(), published_at=AT,
        ),
        added=WorkloadAdded(revision=1, definition=workload, answers=ANSWERS, rows=frozen, added_at=AT),
    )  # fmt: skip


def main() -> int:
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("--kills", type=int, default=20)
    asked.add_argument("--method", choices=list(LEARNING_RATE), default="lora")
    asked.add_argument("--seed", type=int, default=1)
    given = asked.parse_args()
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), given.method)
        moments: list[float] = []
        whole = finished(bench.start("whole"), lambda: moments.append(time.monotonic()))
        assert whole is not None
        seconds = time.monotonic() - moments[0]
        print(f"whole: {seconds:.1f} s from its first step to its end", file=sys.stderr, flush=True)
        kills, trainings, largest = 0, 0, 0.0
        while kills < given.kills:
            trainings += 1
            left = given.kills - kills
            adapter, killed = killed_sometimes(bench, f"killed-{trainings}", left, seconds / 3, chance)
            kills += killed
            largest = max(largest, largest_difference(bench.weights(whole), bench.weights(adapter)))
        print(f"{trainings} trainings, {kills} kills", file=sys.stderr)
    print(json.dumps({"kills": kills, "identical": largest == 0.0, "largest_difference": largest}))
    return 0 if largest == 0.0 else 1


if __name__ == "__main__":
    sys.exit(main())
