"""Where the converted base model lies: once for each user, whatever the data folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.laptop import base_model
from deploy.laptop.base_model import NAME, ensure_base_model
from deploy.laptop.model_cache import cache_folder, models_folder
from tests.servers.model import ROOT

CONVERTS_SLOWLY = """
import pathlib, sys, time
from deploy.laptop import base_model
base_model._find_gguf = lambda: pathlib.Path(sys.argv[1])
def convert(gguf, target, on_progress):
    print("converting", flush=True)
    time.sleep(0.5)
    (target / "config.json").write_text("{}")
base_model._convert = convert
base_model.ensure_base_model(pathlib.Path(sys.argv[2]), lambda line: None)
"""


@pytest.fixture(autouse=True)
def gguf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"weights")

    def convert(gguf: Path, target: Path, on_progress: Callable[[str], None]) -> None:
        (target / "config.json").write_text("{}")

    monkeypatch.setattr(base_model, "_find_gguf", lambda: file)
    monkeypatch.setattr(base_model, "_convert", convert)
    return file


def silent(_: str) -> None:
    return


def test_the_cache_is_the_one_chosen_else_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert cache_folder({}) == Path("/home/ada/.cache/tuneloop")
    assert cache_folder({"XDG_CACHE_HOME": "/fast"}) == Path("/fast/tuneloop")
    assert cache_folder({"XDG_CACHE_HOME": "not/absolute"}) == Path("/home/ada/.cache/tuneloop")
    assert cache_folder({"XDG_CACHE_HOME": "/fast", "TUNELOOP_CACHE": "~/x"}) == Path("/home/ada/x")
    assert cache_folder({"TUNELOOP_CACHE": "here"}) == Path.cwd() / "here"


def test_two_data_folders_share_one_model(tmp_path: Path) -> None:
    environment = {"TUNELOOP_CACHE": str(tmp_path / "cache")}
    demo, up = (models_folder(tmp_path / name, environment, silent) for name in ("demo", "up"))
    assert demo == up
    assert demo.is_relative_to(tmp_path / "cache" / "models")


def test_the_model_of_another_package_is_not_replaced(tmp_path: Path, gguf: Path) -> None:
    environment = {"TUNELOOP_CACHE": str(tmp_path / "cache")}
    first = ensure_base_model(models_folder(tmp_path, environment, silent), silent)
    gguf.write_bytes(b"other weights")
    ensure_base_model(models_folder(tmp_path, environment, silent), silent)
    assert (first / "config.json").exists()


def test_a_data_folder_of_version_0_1_keeps_its_own_copy(tmp_path: Path) -> None:
    ensure_base_model(tmp_path / "data" / "models", silent)
    environment = {"TUNELOOP_CACHE": str(tmp_path / "cache")}
    assert models_folder(tmp_path / "data", environment, silent) == tmp_path / "data" / "models"
    assert not (tmp_path / "cache").exists()


def test_half_a_copy_of_version_0_1_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data" / "models" / NAME).mkdir(parents=True)
    environment = {"TUNELOOP_CACHE": str(tmp_path / "cache")}
    assert models_folder(tmp_path / "data", environment, silent) != tmp_path / "data" / "models"


def test_a_cache_that_cannot_be_written_is_said_once_and_the_data_folder_takes_its_place(
    tmp_path: Path,
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    said: list[str] = []
    environment = {"TUNELOOP_CACHE": str(tmp_path / "cache")}
    assert models_folder(tmp_path / "data", environment, said.append) == tmp_path / "data" / "models"
    (line,) = said
    assert "cannot be written (Not a directory)" in line
    assert "TUNELOOP_CACHE=FOLDER" in line


def test_two_starts_at_the_same_time_convert_once(tmp_path: Path, gguf: Path) -> None:
    command = [sys.executable, "-c", CONVERTS_SLOWLY, str(gguf), str(tmp_path / "models")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    both = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) for _ in "12"
    ]
    said = [process.communicate(timeout=30)[0] for process in both]
    assert sorted(said) == ["", "converting\n"]
    assert (tmp_path / "models" / NAME / "source.json").exists()
