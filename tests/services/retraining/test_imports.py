from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "trl", "peft", "datasets"}


@pytest.mark.parametrize("module", ["app", "job", "candidate_evaluation"])
def test_only_training_loads_torch(module: str) -> None:
    code = f"import sys, services.retraining.{module}; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(loaded.stdout.split())
