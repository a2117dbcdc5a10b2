"""Processes that train together end with the one adapter that one process alone would make.

They share out rows as several GPUs do; without GPUs each holds all weights (DDP) in place of a part (FSDP).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from services.retraining import processes
from services.retraining.training_work import TrainingWork
from tests.servers.model import ROOT
from tests.services.retraining import tiny_base_model

SECONDS = 120
LAUNCH = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
CHECKPOINT_EVERY, KILLED_AT = 4, 10
RATES = {"lora": 1e-3, "qlora": 1e-3, "full": 1e-4}


def work(root: Path, name: str, method: str, killed_at: int) -> TrainingWork:
    def kill(step: int, loss: float) -> None:
        if step == killed_at and processes.is_first():
            os.kill(os.getpid(), signal.SIGKILL)

    return tiny_base_model.work(
        str(root / "base"),
        root / name,
        method=method,
        learning_rate=RATES[method],
        checkpoint_every=CHECKPOINT_EVERY,
        on_step=kill,
    )


def main(root: str, name: str, method: str, killed_at: str) -> None:
    from services.retraining.methods import method_named

    given = work(Path(root), name, method, int(killed_at))
    method_named(given.plan.method)(given)
    print("written")


def train(
    root: Path, name: str, method: str, *launch: str, killed_at: int = 0
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *launch, "-m", __name__, str(root), name, method, str(killed_at)],
        cwd=ROOT,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def trained(root: Path, name: str, method: str, *launch: str) -> dict[str, torch.Tensor]:
    """What the adapter adds to each layer's weights."""
    done = train(root, name, method, *launch)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.count("written") == 1
    weights: dict[str, torch.Tensor] = load_file(root / name / "adapter" / "adapter_model.safetensors")
    return {
        name: weights[name.replace(".lora_A.", ".lora_B.")] @ a
        for name, a in weights.items()
        if ".lora_A." in name
    }


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """But for the order in which gradients are summed up."""
    assert one.keys() == other.keys()
    for name, weight in one.items():
        assert (other[name] - weight).norm() < 1e-3 * weight.norm()


@pytest.mark.parametrize("method", ["lora", "qlora", "full"])
def test_two_processes_end_with_the_weights_of_one(tmp_path: Path, method: str) -> None:
    tiny_base_model.tiny_base_model(tmp_path / "base")
    alone, together = trained(tmp_path, "alone", method), trained(tmp_path, "together", method, *LAUNCH)
    assert_same(alone, together)


@pytest.mark.parametrize("method", ["lora", "qlora", "full"])
def test_two_processes_of_which_one_was_killed_end_with_the_weights_of_one(
    tmp_path: Path, method: str
) -> None:
    tiny_base_model.tiny_base_model(tmp_path / "base")
    killed = train(tmp_path, "killed", method, *LAUNCH, killed_at=KILLED_AT)
    assert killed.returncode != 0
    assert (tmp_path / "killed" / "checkpoints" / f"checkpoint-{KILLED_AT // CHECKPOINT_EVERY * 4}").exists()
    assert_same(trained(tmp_path, "alone", method), trained(tmp_path, "killed", method, *LAUNCH))


if __name__ == "__main__":
    main(*sys.argv[1:])
