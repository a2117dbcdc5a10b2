from __future__ import annotations

from pathlib import Path

import torch

from services.retraining.kept_weights import keep, kept, put_back


def model(value: float) -> torch.nn.Module:
    layer = torch.nn.Linear(2, 2, bias=False)
    layer.weight.data.fill_(value)
    return layer


def steps(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in (folder / "best").glob("*.safetensors"))


def test_what_was_best_at_the_last_checkpoint_stays_until_the_next(tmp_path: Path) -> None:
    for step in (4, 8, 12, 14, 16):
        keep(model(step), tmp_path, step, checkpoint_every=10)
    assert steps(tmp_path) == [8, 16]
    keep(model(22), tmp_path, 22, checkpoint_every=10)
    assert steps(tmp_path) == [16, 22]


def test_a_half_written_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "half").write_bytes(b"torn")
    keep(model(4), tmp_path, 4, checkpoint_every=10)
    assert steps(tmp_path) == [4]


def test_kept_weights_are_put_back_as_they_were(tmp_path: Path) -> None:
    keep(model(4), tmp_path, 4, checkpoint_every=10)
    other = model(5)
    put_back(other, kept(tmp_path, 4))
    assert torch.equal(other.weight, model(4).weight)
