"""Processes that train together end with the one adapter that one process alone would make.

They share out rows as several GPUs do; without GPUs each holds all weights (DDP) in place of a part (FSDP).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from services.retraining.training_work import TrainingWork
from tests.servers.model import ROOT
from tests.services.retraining import tiny_base_model

SECONDS = 120
LAUNCH = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def work(root: Path, name: str) -> TrainingWork:
    return tiny_base_model.work(str(root / "base"), root / name, learning_rate=1e-3)


def main(root: str, name: str) -> None:
    from services.retraining.methods.lora import train

    train(work(Path(root), name))
    print("written")


def trained(root: Path, name: str, *launch: str) -> dict[str, torch.Tensor]:
    done = subprocess.run(
        [sys.executable, *launch, "-m", __name__, str(root), name],
        cwd=ROOT,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.count("written") == 1
    weights: dict[str, torch.Tensor] = load_file(root / name / "adapter" / "adapter_model.safetensors")
    return weights


def test_two_processes_end_with_the_weights_of_one(tmp_path: Path) -> None:
    tiny_base_model.tiny_base_model(tmp_path / "base")
    alone, together = trained(tmp_path, "alone"), trained(tmp_path, "together", *LAUNCH)
    assert alone.keys() == together.keys()
    for name, weight in alone.items():
        torch.testing.assert_close(together[name], weight, atol=2e-3, rtol=2e-2)


if __name__ == "__main__":
    main(*sys.argv[1:])
