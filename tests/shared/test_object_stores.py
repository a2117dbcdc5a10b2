"""Files in an object store that speaks S3: only what is whole counts, and the model server finds it."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from shared.fields import FrozenAdapter
from shared.files import DigestMismatch, Files, frozen
from shared.files.adapter_cache import AdapterCache
from shared.files.store import Store
from tests.servers.model import free_port
from tests.servers.s3 import BUCKET, s3_server

ROOT = f"s3://{BUCKET}/files"


@pytest.fixture(scope="module")
def s3() -> Iterator[None]:
    with s3_server() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def root(s3: None, request: pytest.FixtureRequest) -> str:
    """A place of its own in the bucket for each test."""
    return f"{ROOT}/{abs(hash(request.node.name))}"


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "made [1]*"
    (folder / "more").mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(b"weights" * 1000)
    (folder / "adapter_config.json").write_text("{}")
    (folder / "more" / "README.md").write_text("für alle")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def uploads_that_stop_after(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """The process dies in the middle of an upload."""
    done = 0
    put = Store.put

    def put_or_die(self: Store, local: Path, path: str) -> None:
        nonlocal done
        if done == count:
            raise KeyboardInterrupt
        done += 1
        put(self, local, path)

    monkeypatch.setattr(Store, "put", put_or_die)


def test_rows_and_contents_are_read_as_they_were_written(root: str, tmp_path: Path) -> None:
    rows = [{"text": "ä"}, {"text": "b"}]
    files = Files(root, tmp_path / "cache")
    file = files.freeze_rows("datasets/t/v1", rows)
    assert file == files.freeze_rows("datasets/t/v1", rows)
    assert list(Files(root, tmp_path / "other").rows(file)) == rows
    expected = b'{"text": "\xc3\xa4"}\n{"text": "b"}\n'
    assert files.content(file.uri) == files.content(f"{root}/{file.uri}") == expected
    for uri in ("nowhere.csv", f"s3://{BUCKET}/elsewhere.csv", "file:///etc/passwd", "../x", f"{root}/../x"):
        with pytest.raises(FileNotFoundError):
            files.content(uri)


def test_an_adapter_comes_back_whole_on_any_machine(root: str, tmp_path: Path, adapter: Path) -> None:
    files = Files(root, tmp_path / "cache")
    lora = files.freeze_adapter("t", adapter, "small")
    assert lora == files.freeze_adapter("t", adapter, "small")
    for machine in ("one", "two"):
        folder = Files(root, tmp_path / machine).adapter_folder(lora)
        assert folder == tmp_path / machine / "adapters" / lora.name
        assert contents(folder) == contents(adapter)


@pytest.mark.parametrize("uploaded", [0, 1, 2, 3])
def test_a_copy_killed_in_the_middle_never_counts_and_the_next_one_completes_it(
    root: str, tmp_path: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch, uploaded: int
) -> None:
    files, lora = Files(root, tmp_path / "cache"), expected(adapter, tmp_path)
    with monkeypatch.context() as patch:
        uploads_that_stop_after(patch, uploaded)
        if uploaded == 3:
            patch.setattr(frozen, "manifest", interrupted)
        with pytest.raises(KeyboardInterrupt):
            files.freeze_adapter("t", adapter, "small")
    with pytest.raises(FileNotFoundError, match="not complete"):
        files.adapter_folder(lora)
    assert not list((tmp_path / "cache" / "adapters").glob("[!.]*"))
    assert files.freeze_adapter("t", adapter, "small") == lora
    assert contents(files.adapter_folder(lora)) == contents(adapter)
    assert not [name for name in Store(root).names_below(Store(root).root) if name.endswith(".unfinished")]


def expected(folder: Path, tmp_path: Path) -> FrozenAdapter:
    """What freezing gives anywhere."""
    return Files((tmp_path / "elsewhere").as_uri(), tmp_path).freeze_adapter("t", folder, "small")


def interrupted(_: object) -> bytes:
    raise KeyboardInterrupt


def test_what_was_left_half_copied_is_removed_after_a_day_and_nothing_else(
    root: str, tmp_path: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, store = Files(root, tmp_path / "cache"), Store(root)
    kept = files.freeze_adapter("kept", adapter, "small")
    of_0_2 = f"{store.root}/adapters/old-12345678"
    store.write(f"{of_0_2}/adapter_config.json", b"{}")  # it wrote no manifests
    (adapter / "adapter_config.json").write_text('{"r": 1}')
    with monkeypatch.context() as patch:
        uploads_that_stop_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            files.freeze_adapter("left", adapter, "small")
    (adapter / "adapter_config.json").write_text('{"r": 2}')
    files.freeze_adapter("other", adapter, "small")
    assert [name for name in store.names_below(f"{store.root}/adapters") if name.startswith("left-")]
    monkeypatch.setattr(frozen, "LEFTOVER_AGE", timedelta(seconds=-1))
    files.freeze_adapter("next", adapter, "small")
    assert not [name for name in store.names_below(f"{store.root}/adapters") if name.startswith("left-")]
    assert store.exists(f"{of_0_2}/adapter_config.json")
    assert Files(root, tmp_path / "again").adapter_folder(kept).is_dir()


def test_an_adapter_of_0_2_is_taken_if_all_of_it_is_there(root: str, tmp_path: Path, adapter: Path) -> None:
    lora, store = expected(adapter, tmp_path), Store(root)
    for name, content in contents(adapter).items():
        files = Files(root, tmp_path / "cache")
        with pytest.raises((FileNotFoundError, DigestMismatch)):
            files.adapter_folder(lora)
        store.write(f"{store.root}/{lora.uri}/{name}", content)
    assert contents(files.adapter_folder(lora)) == contents(adapter)


@pytest.mark.parametrize(
    "harm",
    [
        {"files": {"../../../outside": "sha256:0"}},
        {"files": {"/etc/passwd": "sha256:0"}},
        {"files": {}},
        {"files": 3},
        [],
    ],
)
def test_a_manifest_that_is_not_of_the_adapter_is_refused(
    root: str, tmp_path: Path, adapter: Path, harm: object
) -> None:
    files, store = Files(root, tmp_path / "cache"), Store(root)
    lora = files.freeze_adapter("t", adapter, "small")
    store.write(f"{store.root}/{lora.uri}.manifest.json", json.dumps(harm).encode())
    with pytest.raises(DigestMismatch, match="manifest"):
        files.adapter_folder(lora)


def test_a_changed_object_is_refused_and_a_changed_copy_is_fetched_again(
    root: str, tmp_path: Path, adapter: Path
) -> None:
    files, store = Files(root, tmp_path / "cache"), Store(root)
    lora = files.freeze_adapter("t", adapter, "small")
    folder = files.adapter_folder(lora)
    (folder / "adapter_config.json").write_text("changed")
    assert contents(files.adapter_folder(lora)) == contents(adapter)
    store.write(f"{store.root}/{lora.uri}/adapter_config.json", b"changed")
    assert contents(files.adapter_folder(lora)) == contents(adapter)  # the copy is right
    with pytest.raises(DigestMismatch):
        Files(root, tmp_path / "other").adapter_folder(lora)
    assert not list((tmp_path / "other" / "adapters").glob("[!.]*"))


@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_what_the_store_has_is_proved_where_that_is_asked_or_the_model_server_reads_it_there(
    root: str, tmp_path: Path, adapter: Path, harm: str
) -> None:
    files, store = Files(root, tmp_path / "cache"), Store(root)
    lora = files.freeze_adapter("t", adapter, "small")
    mounted = Files(root, tmp_path / "cache", "/mnt/bucket/files")
    folder = files.adapter_folder(lora)
    inode = folder.stat().st_ino
    assert files.adapter_folder(lora, as_stored=True) == mounted.adapter_folder(lora) == folder
    assert folder.stat().st_ino == inode, "whoever reads a copy that is right is not disturbed"

    config = f"{store.root}/{lora.uri}/adapter_config.json"
    if harm == "changed":
        store.write(config, b"changed")
    else:
        store.remove(f"{store.root}/{lora.uri}")
        store.remove(f"{store.root}/{lora.uri}.manifest.json")
    error = DigestMismatch if harm == "changed" else FileNotFoundError
    with pytest.raises(error):
        files.adapter_folder(lora, as_stored=True)
    with pytest.raises(error):
        mounted.adapter_folder(lora)
    assert contents(files.adapter_folder(lora)) == contents(adapter), "a server that reads the copy may"
    files.freeze_adapter("t", adapter, "small")
    assert files.adapter_folder(lora, as_stored=True) == mounted.adapter_folder(lora) == folder


def fetch_in_a_process(root: str, cache: str, adapter: dict[str, str], results: object) -> None:
    folder = Files(root, Path(cache)).adapter_folder(FrozenAdapter.model_validate(adapter))
    results.put((str(folder), sorted(contents(folder))))  # type: ignore[attr-defined]


def test_of_processes_that_fetch_at_once_all_have_it_whole(root: str, tmp_path: Path, adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").write_bytes(os.urandom(3 << 20))
    lora = Files(root, tmp_path / "made").freeze_adapter("t", adapter, "small")
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    arguments = (root, str(tmp_path / "cache"), lora.model_dump(), results)
    processes = [context.Process(target=fetch_in_a_process, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(10)
    assert found == [(str(tmp_path / "cache" / "adapters" / lora.name), sorted(contents(adapter)))] * 3


def test_a_fetch_killed_in_the_middle_leaves_nothing_that_counts(
    root: str, tmp_path: Path, adapter: Path
) -> None:
    lora = Files(root, tmp_path / "made").freeze_adapter("t", adapter, "small")
    program = f"""
import os
from pathlib import Path
from shared.fields import FrozenAdapter
from shared.files import Files
from shared.files.store import Store
fetch = Store.fetch
def fetch_one_and_die(self, path, local):
    fetch(self, path, local)
    os.kill(os.getpid(), 9)
Store.fetch = fetch_one_and_die
Files({root!r}, Path({str(tmp_path / "cache")!r})).adapter_folder(
    FrozenAdapter.model_validate({lora.model_dump()!r}))
"""
    killed = subprocess.run([sys.executable, "-c", program], timeout=60)
    assert killed.returncode == -9
    cache = tmp_path / "cache" / "adapters"
    assert not (cache / lora.name).exists()
    assert list(cache.glob(f".{lora.name}.partial/*"))
    assert contents(Files(root, tmp_path / "cache").adapter_folder(lora)) == contents(adapter)
    assert not list(cache.glob(".*.partial"))


def test_the_cache_drops_what_was_asked_for_longest_ago(root: str, tmp_path: Path, adapter: Path) -> None:
    files, loras = Files(root, tmp_path / "made"), []
    for number in range(3):
        (adapter / "adapter_model.safetensors").write_bytes(bytes([number]) * 10_000)
        loras.append(files.freeze_adapter("t", adapter, "small"))
    reader = Files(root, tmp_path / "cache")
    reader._cache = AdapterCache(tmp_path / "cache" / "adapters", most_bytes=25_000)
    for lora in (loras[0], loras[1], loras[0], loras[2]):
        reader.adapter_folder(lora)
    left = {path.name for path in (tmp_path / "cache" / "adapters").glob("[!.]*")}
    assert left == {loras[0].name, loras[2].name}
    assert reader.adapter_folder(loras[1]).is_dir()


def test_the_model_server_is_told_the_folder_in_which_it_sees_the_files(
    root: str, tmp_path: Path, adapter: Path
) -> None:
    lora = Files(root, tmp_path / "cache").freeze_adapter("t", adapter, "small")
    here = Files(root, tmp_path / "cache")
    local = here.adapter_folder(lora)
    assert here.folder_for_models(lora, local) == local == tmp_path / "cache" / "adapters" / lora.name
    mounted = Files(root, tmp_path / "cache", "/mnt/bucket/files/")
    assert mounted.folder_for_models(lora, local) == Path(f"/mnt/bucket/files/adapters/{lora.name}")
    volume = Files((tmp_path / "files").as_uri(), tmp_path / "cache", "/files")
    again = volume.freeze_adapter("t", adapter, "small")
    local = volume.adapter_folder(again)
    assert volume.folder_for_models(again, local) == Path(f"/files/adapters/{lora.name}")


async def test_files_are_used_from_threads_of_a_running_loop(
    root: str, tmp_path: Path, adapter: Path
) -> None:
    files = Files(root, tmp_path / "cache")
    lora = await asyncio.to_thread(files.freeze_adapter, "t", adapter, "small")
    folders = await asyncio.gather(*(asyncio.to_thread(files.adapter_folder, lora) for _ in range(4)))
    assert len(set(folders)) == 1


def test_a_job_waits_for_a_store_that_is_away_for_a_while(tmp_path: Path) -> None:
    port = free_port()
    program = f"""
from pathlib import Path
from shared.files import JOB_PATIENCE_SECONDS, Files
files = Files("s3://{BUCKET}/files", Path({str(tmp_path)!r}), patience_seconds=JOB_PATIENCE_SECONDS)
print(list(files.rows(files.freeze_rows("rows", [{{"text": "a"}}]))))
"""
    there = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, env={**os.environ, **there}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as job:
        assert job.stderr is not None
        assert "is asked again" in job.stderr.readline()
        with s3_server(port):
            said, _ = job.communicate(timeout=60)
    assert said == "[{'text': 'a'}]\n"


@pytest.mark.parametrize(
    ("uri", "before", "error", "says"),
    [
        pytest.param("s3://b/f", "", "FilesUnreachable", "s3://b/f does not answer", id="nobody answers"),
        pytest.param(
            "s3://b/f",
            "import sys; sys.modules['s3fs'] = None",
            "CannotUseFiles",
            "FILES_URI=s3://b/f needs a package that is not here: pip install 'tuneloop[s3]'",
            id="no package",
        ),
        pytest.param("nosuch://b/f", "", "CannotUseFiles", "FILES_URI=nosuch://b/f", id="no such protocol"),
    ],
)
def test_a_store_that_cannot_be_used_is_no_missing_file(
    tmp_path: Path, uri: str, before: str, error: str, says: str
) -> None:
    """In a process of its own: fsspec keeps what it once made."""
    program = f"""
{before}
from pathlib import Path
from shared.files import Files
Files({uri!r}, Path({str(tmp_path)!r})).content("rows.csv")
"""
    nobody = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }
    tried = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **nobody},
        capture_output=True,
        text=True,
        timeout=60,
    )
    last = tried.stderr.strip().splitlines()[-1]
    assert error in last
    assert says in last
