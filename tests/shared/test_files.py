"""The promises of `shared/files/`: frozen, addressed below a root that may move, proved by digest."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from shared.events import FrozenAdapter, FrozenFile
from shared.files import DigestMismatch, Files

ROWS = [{"text": "ä"}, {"text": "b"}]
ODD_NAMES = ["with a blank", "50%", "100%25", "a#b", "für", "what?", "a%20b ü#"]


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def memory() -> Iterator[str]:
    yield "memory://files"
    fsspec.filesystem("memory").rm("/", recursive=True)


def old(file: FrozenFile, root: str) -> FrozenFile:
    """As version 0.1 addressed it: by its absolute URI."""
    return file.model_copy(update={"uri": f"{root}/{file.uri}"})


def test_the_same_rows_are_the_same_file(tmp_path: Path) -> None:
    files = Files(tmp_path.as_uri(), tmp_path / "cache")
    frozen = files.freeze_rows("datasets/t/v1", ROWS)
    assert frozen == files.freeze_rows("datasets/t/v1", ROWS)
    assert frozen.uri.startswith("datasets/t/v1-")
    assert list(files.rows(frozen)) == ROWS


@pytest.mark.parametrize("name", ODD_NAMES)
def test_files_lie_in_their_folder_whatever_its_name(tmp_path: Path, adapter: Path, name: str) -> None:
    root = tmp_path / name / "files"
    files = Files(root.as_uri(), tmp_path / "cache")
    frozen = files.freeze_rows("rows", ROWS)
    assert (root / frozen.uri).is_file()
    assert list(files.rows(frozen)) == ROWS
    assert files.adapter_folder(files.freeze_adapter("t", adapter, "small")).parent == root / "adapters"
    assert {path.name for path in tmp_path.iterdir()} == {"made", name}


@pytest.mark.parametrize("name", ["with a blank", "a#b", "für", "50%"])
def test_a_root_that_is_not_percent_encoded_is_taken_as_it_stands(tmp_path: Path, name: str) -> None:
    frozen = Files(f"file://{tmp_path}/{name}", tmp_path / "cache").freeze_rows("rows", ROWS)
    assert (tmp_path / name / frozen.uri).is_file()


@pytest.mark.parametrize("name", ["plain", "with a blank", "für"])
def test_what_0_1_wrote_is_found_where_it_wrote_it(tmp_path: Path, name: str) -> None:
    """It took a percent-encoded address literally, so that files landed in a folder beside."""
    literal = Path((tmp_path / name / "files").as_uri().removeprefix("file://"))
    frozen = Files(str(literal), tmp_path / "cache").freeze_rows("datasets/t/v1", ROWS)
    files = Files((tmp_path / name / "files").as_uri(), tmp_path / "cache")
    assert list(files.rows(old(frozen, f"file://{literal}"))) == ROWS


def test_files_survive_a_moved_folder(tmp_path: Path, adapter: Path) -> None:
    before = tmp_path / "before"
    files = Files(before.as_uri(), tmp_path / "cache")
    frozen, lora = files.freeze_rows("datasets/t/v1", ROWS), files.freeze_adapter("t", adapter, "small")
    shutil.move(before, tmp_path / "after")
    moved = Files((tmp_path / "after").as_uri(), tmp_path / "cache")
    for file in (frozen, old(frozen, before.as_uri())):
        assert list(moved.rows(file)) == ROWS
    absolute = lora.model_copy(update={"uri": f"{before.as_uri()}/{lora.uri}"})
    for one in (lora, absolute):
        assert moved.adapter_folder(one) == tmp_path / "after" / "adapters" / lora.name


def test_files_that_moved_to_an_object_store_are_found_there(
    tmp_path: Path, adapter: Path, memory: str
) -> None:
    files = Files(memory, tmp_path / "cache")
    frozen, lora = files.freeze_rows("datasets/t/v1", ROWS), files.freeze_adapter("t", adapter, "small")
    assert list(files.rows(old(frozen, "file:///home/me/.tuneloop/files"))) == ROWS
    absolute = lora.model_copy(update={"uri": f"file:///home/me/.tuneloop/files/{lora.uri}"})
    assert files.adapter_folder(absolute) == tmp_path / "cache" / "adapters" / lora.name


def test_a_changed_file_is_not_used(tmp_path: Path) -> None:
    files = Files(tmp_path.as_uri(), tmp_path / "cache")
    frozen = files.freeze_rows("rows", ROWS)
    (tmp_path / frozen.uri).write_text('{"text": "other"}\n')
    with pytest.raises(DigestMismatch):
        files.rows(frozen)


@pytest.mark.parametrize(
    "damaged", ["", '{"text": "o', '{"text": "other"}\n'], ids=["empty", "half", "other"]
)
@pytest.mark.parametrize("place", ["folder", "object store"])
def test_rows_frozen_again_are_whole_whatever_became_of_their_file(
    tmp_path: Path, memory: str, place: str, damaged: str
) -> None:
    root = tmp_path.as_uri() if place == "folder" else memory
    files = Files(root, tmp_path / "cache")
    frozen = files.freeze_rows("rows", ROWS)
    with fsspec.open(f"{root}/{frozen.uri}", "w") as file:
        file.write(damaged)
    assert files.freeze_rows("rows", ROWS) == frozen
    assert list(files.rows(frozen)) == ROWS


def test_rows_that_are_whole_are_not_written_again(tmp_path: Path) -> None:
    files = Files(tmp_path.as_uri(), tmp_path / "cache")
    path = tmp_path / files.freeze_rows("rows", ROWS).uri
    before = path.stat()
    files.freeze_rows("rows", ROWS)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("uri", ["nowhere.jsonl", "file:///no/where.jsonl", "../outside.jsonl"])
def test_what_is_not_there_is_not_found(tmp_path: Path, uri: str) -> None:
    (tmp_path / "outside.jsonl").write_text("")
    files = Files((tmp_path / "files").as_uri(), tmp_path / "cache")
    with pytest.raises(FileNotFoundError):
        files.rows(FrozenFile(uri=uri, digest="sha256:" + "0" * 64, rows=0))
    with pytest.raises(FileNotFoundError):
        files.adapter_folder(
            FrozenAdapter(name="x", uri=uri, digest="sha256:" + "0" * 64, base_model="small")
        )


def test_what_is_read_by_uri_lies_below_the_root(tmp_path: Path) -> None:
    root = tmp_path / "100% für uns"
    (root / "uploads").mkdir(parents=True)
    (root / "uploads" / "rows.csv").write_text("text,label\n")
    (tmp_path / "secret").write_text("no")
    files = Files(root.as_uri(), tmp_path / "cache")
    for uri in ("uploads/rows.csv", (root / "uploads" / "rows.csv").as_uri()):
        assert files.content(uri) == b"text,label\n"
    for uri in (
        "../secret",
        "/etc/passwd",
        (tmp_path / "secret").as_uri(),
        "s3://bucket/rows.csv",
        "file://",
        "",
    ):
        with pytest.raises(FileNotFoundError):
            files.content(uri)
