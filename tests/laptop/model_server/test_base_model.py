from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.laptop import base_model
from deploy.laptop.base_model import NAME, BaseModelMissing, DiskFull, ensure_base_model


class Converter:
    """In place of the 20 s conversion: writes one file and counts."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, gguf: Path, target: Path, on_progress: Callable[[str], None]) -> None:
        self.runs += 1
        (target / "config.json").write_text("{}")


@pytest.fixture
def converter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Converter:
    gguf = tmp_path / "model.gguf"
    gguf.write_bytes(b"weights")
    monkeypatch.setattr(base_model, "_find_gguf", lambda: gguf)
    converter = Converter()
    monkeypatch.setattr(base_model, "_convert", converter)
    return converter


def silent(_: str) -> None:
    return


def test_a_conversion_is_done_once(converter: Converter, tmp_path: Path) -> None:
    folder = ensure_base_model(tmp_path / "models", silent)
    assert ensure_base_model(tmp_path / "models", silent) == folder
    assert folder == tmp_path / "models" / NAME
    assert converter.runs == 1


def test_a_folder_made_from_another_gguf_is_made_again(converter: Converter, tmp_path: Path) -> None:
    ensure_base_model(tmp_path / "models", silent)
    (tmp_path / "model.gguf").write_bytes(b"other weights")
    ensure_base_model(tmp_path / "models", silent)
    assert converter.runs == 2


def test_what_an_interrupted_conversion_left_is_replaced(
    converter: Converter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(gguf: Path, target: Path, on_progress: Callable[[str], None]) -> None:
        (target / "half").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(base_model, "_convert", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ensure_base_model(tmp_path / "models", silent)
    assert not (tmp_path / "models" / NAME).exists()
    monkeypatch.setattr(base_model, "_convert", converter)
    folder = ensure_base_model(tmp_path / "models", silent)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "source.json"]
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [NAME]


def test_a_full_disk_is_said_before_anything_is_written(
    converter: Converter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100_000_000))
    with pytest.raises(DiskFull, match=r"needs 800 MB in .*, and 100 MB are free"):
        ensure_base_model(tmp_path / "models", silent)
    assert converter.runs == 0


def test_a_missing_package_is_said_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(base_model, "_PACKAGE", "no_such_package_here")
    with pytest.raises(BaseModelMissing, match="pip install"):
        ensure_base_model(tmp_path, silent)


def test_the_real_model_has_its_chat_template_and_says_where_it_comes_from(base_folder: Path) -> None:
    assert (base_folder / "chat_template.jinja").read_text()
    config = json.loads((base_folder / "config.json").read_text())
    assert config["dtype"] == "float32"
    assert len(json.loads((base_folder / "source.json").read_text())["sha256"]) == 64
