from __future__ import annotations

from pathlib import Path

import pytest

from deploy.laptop.model_server.adapters import Adapters, AlreadyLoaded, NoAdapter
from deploy.laptop.model_server.limits import MOST_COPIES, copies_that_fit


class Merger:
    """Stands in for the engine: what is read is the folder's content, and merges are noted."""

    def __init__(self) -> None:
        self.merged: list[str] = []

    def read(self, folder: Path) -> str:
        try:
            return (folder / "weights").read_text()
        except OSError as error:
            raise NoAdapter(str(folder)) from error

    def merge(self, weights: str) -> str:
        self.merged.append(weights)
        return f"merged {weights}"


@pytest.fixture
def merger() -> Merger:
    return Merger()


@pytest.fixture
def adapters(merger: Merger, tmp_path: Path) -> Adapters[str]:
    adapters = Adapters(merger.read, merger.merge, most_merged=2)
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").write_text(name)
        adapters.load(name, str(tmp_path / name))
    return adapters


def test_the_adapter_unused_for_longest_gives_its_copy_to_a_new_one_and_is_served_on(
    adapters: Adapters[str],
) -> None:
    assert [adapters.weights(name) for name in ("a", "b", "c")] == ["a", "merged b", "merged c"]
    assert [adapter.name for adapter in adapters.known()] == ["a", "b", "c"]


def test_use_keeps_a_copy_in_memory(adapters: Adapters[str], tmp_path: Path) -> None:
    adapters.weights("b")
    adapters.load("d", str(tmp_path / "a"))
    assert adapters.weights("b") == "merged b"
    assert adapters.weights("c") == "c"


def test_asking_in_turn_for_more_than_fit_merges_nothing(adapters: Adapters[str], merger: Merger) -> None:
    for _ in range(5):
        for name in ("a", "b", "c"):
            adapters.weights(name)
    assert merger.merged == ["a", "b", "c"]


def test_where_no_copy_is_wanted_nothing_is_merged(merger: Merger, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a")
    adapters = Adapters(merger.read, merger.merge, most_merged=0)
    adapters.load("a", str(tmp_path))
    assert adapters.weights("a") == "a"
    assert merger.merged == []


def test_a_name_that_is_taken_is_refused(adapters: Adapters[str], tmp_path: Path) -> None:
    with pytest.raises(AlreadyLoaded):
        adapters.load("a", str(tmp_path / "b"))


def test_a_name_stands_for_the_same_bytes_for_ever(adapters: Adapters[str], tmp_path: Path) -> None:
    (tmp_path / "a" / "weights").write_text("others")
    (tmp_path / "b" / "weights").unlink()
    assert adapters.weights("a") == "a"
    assert adapters.weights("b") == "merged b"


def test_an_unloaded_adapter_can_be_loaded_again_from_elsewhere(
    adapters: Adapters[str], tmp_path: Path
) -> None:
    adapters.unload("a")
    adapters.load("a", str(tmp_path / "b"))
    assert adapters.weights("a") == "merged b"


def test_an_unknown_name_cannot_be_unloaded_or_asked(adapters: Adapters[str]) -> None:
    with pytest.raises(NoAdapter):
        adapters.unload("nobody")
    with pytest.raises(NoAdapter):
        adapters.weights("nobody")


def test_what_cannot_be_read_is_not_known(adapters: Adapters[str], tmp_path: Path) -> None:
    with pytest.raises(NoAdapter):
        adapters.load("nobody", str(tmp_path / "nowhere"))
    assert "nobody" not in [adapter.name for adapter in adapters.known()]


@pytest.mark.parametrize(
    ("available", "copies"), [(0, 0), (3_900, 0), (8_000, 2), (24_000, 6), (1_000_000, MOST_COPIES)]
)
def test_a_quarter_of_the_free_memory_is_for_merged_copies(available: int, copies: int) -> None:
    assert copies_that_fit(available, 1000) == copies
