"""What an earlier model had is free again when the next one is read."""

from __future__ import annotations

import weakref
from pathlib import Path

import torch

from services.retraining import base_model
from services.retraining.room import PAGE, PROC
from shared.training.device import Device
from tests.services.retraining.tiny_base_model import tiny_base_model

SMALL, MANY = 20_000, 4000
"""Entries of a tensor that glibc puts on its heap, and how many: 320 MB."""


def resident() -> int:
    return int((PROC / "self" / "statm").read_text().split()[1]) * PAGE


def test_a_model_that_lives_on_in_a_cycle_is_gone_when_the_next_is_read(tmp_path: Path) -> None:
    folder = tiny_base_model(tmp_path)
    earlier = base_model.weights(folder, Device())
    earlier.config.model = earlier
    is_there = weakref.ref(earlier)
    del earlier
    base_model.weights(folder, Device())
    assert is_there() is None


def test_freed_memory_goes_back_to_the_machine_though_something_above_it_lives() -> None:
    taken = [torch.ones(SMALL) for _ in range(MANY)]
    highest = taken[-1]
    before = resident()
    del taken
    base_model.release_memory()
    assert before - resident() > 0.8 * 4 * SMALL * MANY
    assert highest.sum() == SMALL
