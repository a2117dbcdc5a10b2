"""The digest of a base model: of what its weights are, and of nothing about their files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from shared.adapters.base_model_digest import base_model_digest

WEIGHTS = {"up": torch.arange(6.0).reshape(2, 3), "down": torch.ones(3, 2, dtype=torch.bfloat16)}


def digest(folder: Path, *files: dict[str, torch.Tensor], **metadata: str) -> str | None:
    folder.mkdir()
    for number, tensors in enumerate(files):
        save_file(tensors, folder / f"model-{number}.safetensors", metadata)
    return base_model_digest(folder)


def test_however_the_weights_are_laid_out_in_files_they_are_the_same(tmp_path: Path) -> None:
    whole = digest(tmp_path / "whole", WEIGHTS)
    shards = [{name: tensor} for name, tensor in WEIGHTS.items()]
    assert whole == digest(tmp_path / "shards", *shards, written_by="another library")


@pytest.mark.parametrize(
    "up",
    [WEIGHTS["up"] + 1, WEIGHTS["up"].reshape(3, 2), WEIGHTS["up"].to(torch.bfloat16)],
    ids=["values", "shape", "type"],
)
def test_other_weights_are_others(tmp_path: Path, up: torch.Tensor) -> None:
    assert digest(tmp_path / "a", WEIGHTS) != digest(tmp_path / "b", WEIGHTS | {"up": up})


def test_where_no_weights_lie_there_is_none(tmp_path: Path) -> None:
    assert digest(tmp_path / "empty") is None
    assert base_model_digest(Path("somebody/a-model")) is None


def test_a_damaged_file_is_said_to_be_one(tmp_path: Path) -> None:
    digest(tmp_path / "a", WEIGHTS)
    (tmp_path / "a" / "model-0.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}}")
    (tmp_path / "a" / "model-1.safetensors").write_bytes(b"\x08" + bytes(7) + b'{"a":{}}')
    with pytest.raises(ValueError, match="damaged"):
        base_model_digest(tmp_path / "a")
