from __future__ import annotations

from pathlib import Path

import pytest

from deploy.laptop.model_server.adapters import CONFIG, WEIGHTS, Adapters, AlreadyLoaded, NoAdapter


class Merger:
    """Stands in for the engine: a merge gives the weights' file content and is counted."""

    def __init__(self) -> None:
        self.merged: list[str] = []

    def __call__(self, folder: Path) -> str:
        self.merged.append(folder.name)
        return (folder / WEIGHTS).read_text()


@pytest.fixture
def merger() -> Merger:
    return Merger()


@pytest.fixture
def adapters(merger: Merger, tmp_path: Path) -> Adapters[str]:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / CONFIG).write_text("{}")
        (tmp_path / name / WEIGHTS).write_text(f"weights of {name}")
    adapters = Adapters(merger, most_merged=2)
    for name in ("a", "b", "c"):
        adapters.load(name, str(tmp_path / name))
    return adapters


def test_the_adapter_unused_for_longest_leaves_memory_and_stays_known(adapters: Adapters[str]) -> None:
    assert adapters.merged("a") is None
    assert [adapter.name for adapter in adapters.known()] == ["a", "b", "c"]


def test_it_is_merged_again_when_asked_for(adapters: Adapters[str], merger: Merger) -> None:
    assert adapters.merge_again("a") == "weights of a"
    assert merger.merged == ["a", "b", "c", "a"]
    assert adapters.merged("b") is None


def test_what_is_in_memory_is_not_merged_again(adapters: Adapters[str], merger: Merger) -> None:
    assert adapters.merge_again("b") == "weights of b"
    assert merger.merged == ["a", "b", "c"]


def test_use_keeps_an_adapter_in_memory(adapters: Adapters[str]) -> None:
    assert adapters.merged("b") == "weights of b"
    adapters.merge_again("a")
    assert adapters.merged("b") == "weights of b"
    assert adapters.merged("c") is None


def test_a_name_that_is_taken_is_refused(adapters: Adapters[str], tmp_path: Path) -> None:
    with pytest.raises(AlreadyLoaded):
        adapters.load("a", str(tmp_path / "b"))


def test_a_name_stands_for_the_same_bytes_for_ever(adapters: Adapters[str], tmp_path: Path) -> None:
    (tmp_path / "a" / WEIGHTS).write_text("others")
    with pytest.raises(NoAdapter):
        adapters.merge_again("a")
    assert "a" not in [adapter.name for adapter in adapters.known()]


def test_an_adapter_whose_files_are_gone_is_unloaded(adapters: Adapters[str], tmp_path: Path) -> None:
    (tmp_path / "a" / WEIGHTS).unlink()
    with pytest.raises(NoAdapter):
        adapters.merge_again("a")
    assert "a" not in [adapter.name for adapter in adapters.known()]


def test_an_unloaded_adapter_can_be_loaded_again_from_elsewhere(
    adapters: Adapters[str], tmp_path: Path
) -> None:
    adapters.unload("a")
    adapters.load("a", str(tmp_path / "b"))
    assert adapters.merged("a") == "weights of b"


def test_an_unknown_name_cannot_be_unloaded_or_merged(adapters: Adapters[str]) -> None:
    with pytest.raises(NoAdapter):
        adapters.unload("nobody")
    with pytest.raises(NoAdapter):
        adapters.merge_again("nobody")


def test_weights_that_are_not_safetensors_are_no_adapter(adapters: Adapters[str], tmp_path: Path) -> None:
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / CONFIG).write_text("{}")
    (tmp_path / "pickled" / "adapter_model.bin").write_bytes(b"x")
    with pytest.raises(NoAdapter):
        adapters.load("pickled", str(tmp_path / "pickled"))
