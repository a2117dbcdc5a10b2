"""The promises of `shared/files/`: frozen, addressed below a root that may move, proved by digest."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import product
from pathlib import Path

import fsspec
import pytest

from shared.events import FrozenAdapter, FrozenFile
from shared.files import DigestMismatch, Files, frozen
from shared.files.store import Store

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


CONFIG = "adapter_config.json"


def of_three(adapter: Path) -> dict[str, bytes]:
    (adapter / CONFIG).write_text("{}")
    (adapter / "more").mkdir()
    (adapter / "more" / "README.md").write_text("what it is")
    return contents(adapter)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


DAMAGES = ("changed", "gone", "emptied", "one too many")


@pytest.mark.parametrize(
    ("place", "damage"),
    [*product(("folder", "object store"), DAMAGES), ("object store", "no manifest")],
)
def test_an_adapter_frozen_again_is_whole_whatever_became_of_its_files(
    tmp_path: Path, adapter: Path, memory: str, place: str, damage: str
) -> None:
    whole, root = of_three(adapter), (tmp_path / "files").as_uri() if place == "folder" else memory
    lora = Files(root, tmp_path / "cache").freeze_adapter("t", adapter, "small")
    filesystem, path = fsspec.core.url_to_fs(f"{root}/{lora.uri}")
    match damage:
        case "changed":
            filesystem.pipe_file(f"{path}/{CONFIG}", b"{")
        case "gone":
            filesystem.rm_file(f"{path}/{CONFIG}")
        case "emptied":
            for each in filesystem.find(path):
                filesystem.pipe_file(each, b"")
        case "one too many":
            filesystem.pipe_file(f"{path}/more.json", b"{}")
        case "no manifest":
            filesystem.pipe_file(f"{path}.manifest.json", b"{")
    files = Files(root, tmp_path / "another cache")
    assert files.freeze_adapter("t", adapter, "small") == lora
    assert contents(files.adapter_folder(lora)) == whole
    if place == "folder":
        assert [each.name for each in (tmp_path / "files" / "adapters").iterdir()] == [lora.name]


def test_an_adapter_that_is_whole_is_not_written_again(tmp_path: Path, adapter: Path) -> None:
    files = Files(tmp_path.as_uri(), tmp_path / "cache")
    path = tmp_path / files.freeze_adapter("t", adapter, "small").uri
    before = path.stat()
    files.freeze_adapter("t", adapter, "small")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_of_two_that_freeze_the_same_adapter_at_once_none_harms_the_other(
    tmp_path: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, files = of_three(adapter), Files((tmp_path / "files").as_uri(), tmp_path / "cache")
    move = Store.move_folder

    def another_was_faster(self: Store, path: str, to: str) -> None:
        monkeypatch.setattr(Store, "move_folder", move)
        files.freeze_adapter("t", adapter, "small")
        move(self, path, to)

    monkeypatch.setattr(Store, "move_folder", another_was_faster)
    lora = files.freeze_adapter("t", adapter, "small")
    assert contents(files.adapter_folder(lora)) == whole
    assert [each.name for each in (tmp_path / "files" / "adapters").iterdir()] == [lora.name]


def freeze_and_die(root: str, adapter: str, steps: int) -> None:
    """Is killed after so many steps that change something on the disk."""
    left = steps

    def counted(step: Callable[..., object]) -> Callable[..., object]:
        def or_death(*arguments: object) -> object:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return step(*arguments)

        return or_death

    for kind, step in ((Store, "put"), (Path, "rename"), (Store, "remove")):
        setattr(kind, step, counted(getattr(kind, step)))
    Files(root, Path(adapter) / "cache").freeze_adapter("t", Path(adapter), "small")


@pytest.mark.parametrize(("was_damaged", "steps"), [*product([False], range(4)), *product([True], range(7))])
def test_killed_at_any_step_nothing_half_written_is_to_be_seen_and_the_next_try_completes_it(
    tmp_path: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch, steps: int, was_damaged: bool
) -> None:
    whole, root = of_three(adapter), tmp_path / "files"
    lora = Files((tmp_path / "elsewhere").as_uri(), tmp_path).freeze_adapter("t", adapter, "small")
    if was_damaged:
        (root / lora.uri).mkdir(parents=True)
        (root / lora.uri / CONFIG).write_text("{")
    killed = multiprocessing.get_context("spawn").Process(
        target=freeze_and_die, args=(root.as_uri(), str(adapter), steps)
    )
    killed.start()
    killed.join(60)
    assert killed.exitcode == -signal.SIGKILL
    is_over = steps == 6  # after three files, a try, the damaged one aside and the new one in its place

    files = Files(root.as_uri(), tmp_path / "cache")
    seen = {each.name for each in (root / "adapters").glob("*") if not each.name.endswith(".partial")}
    assert seen <= {lora.name}
    if is_over:
        assert contents(files.adapter_folder(lora)) == whole
    else:
        with pytest.raises((FileNotFoundError, DigestMismatch)) as refused:
            files.adapter_folder(lora)
        assert was_damaged or refused.type is FileNotFoundError
    assert files.freeze_adapter("t", adapter, "small") == lora
    assert contents(files.adapter_folder(lora)) == whole

    monkeypatch.setattr(frozen, "LEFTOVER_AGE", timedelta(seconds=-1))  # a day later
    files.freeze_adapter("t", adapter, "small")
    assert [each.name for each in (root / "adapters").iterdir()] == [lora.name]


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
