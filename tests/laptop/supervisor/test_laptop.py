"""The laptop as a whole, with the real broker and the real ClickHouse, and without what needs a model."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.laptop import laptop
from deploy.laptop.children import Place, children
from deploy.laptop.folder_lock import is_locked, lock_folder
from deploy.laptop.laptop import LaptopError, LaptopSettings, Running, running, start_laptop
from deploy.laptop.running import keep_running
from deploy.laptop.supervisor import NOTE, Child
from shared.adapters.signature import Verifier, prove_keys
from shared.addresses import Addresses
from shared.clickhouse import connect
from tests.servers.model import ROOT

SERVERS = {"kafka", "clickhouse"}
WAITS = """
import asyncio, pathlib, sys
from deploy.laptop import laptop
laptop.children = lambda place, where: []
async def main():
    settings = laptop.LaptopSettings(pathlib.Path(sys.argv[1]), 0, 0, 0, 0, 0)
    async with laptop.start_laptop(settings, lambda name, words: None) as system:
        print("ready", flush=True)
        await system.wait()
asyncio.run(main())
"""


def only_servers(place: Place, where: Addresses) -> list[Child]:
    return [child for child in children(place, where) if child.name in SERVERS]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LaptopSettings:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "CLICKHOUSE_URL", "FILES_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MODELS_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(laptop, "children", only_servers)
    return LaptopSettings(tmp_path / "data", 0, 0, 0, 0, 0)


def ignore(name: str, words: str) -> None:
    """Nobody watches."""


async def test_it_starts_survives_a_kill_stops_and_starts_again_where_it_was(
    settings: LaptopSettings,
) -> None:
    back = asyncio.Event()

    def on_step(name: str, words: str) -> None:
        if (name, words) == ("clickhouse", "is back"):
            back.set()

    async with start_laptop(settings, on_step) as system:
        assert set(system.pids()) == SERVERS
        found = running(settings.data)
        assert (found.addresses, found.services_url) == (system.addresses, system.services_url)
        clickhouse = await connect(system.addresses.clickhouse_url, patience_seconds=10)
        await clickhouse.command("CREATE TABLE notes (id String) ENGINE = MergeTree ORDER BY id")
        await clickhouse.insert("notes", [{"id": "kept"}])
        os.kill(system.pids()["clickhouse"], signal.SIGKILL)
        await asyncio.wait_for(back.wait(), 30)
        assert await clickhouse.rows("SELECT id FROM notes") == [{"id": "kept"}]
        await clickhouse.close()
    assert len(system.addresses.subject_key) == 64
    for secret in ("subject-key", "adapters-signing.pem"):
        assert (settings.data / secret).stat().st_mode & 0o777 == 0o600
    prove_keys(settings.data / "adapters-signing.pem", Verifier(system.addresses.adapters_public_key))
    assert not is_locked(settings.data, ".children")
    with pytest.raises(LaptopError, match="does not run"):
        running(settings.data)
    async with start_laptop(settings, ignore) as again:
        assert again.addresses == system.addresses


async def test_a_taken_port_is_said_before_anything_starts(settings: LaptopSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LaptopError, match=f"Port {port} is taken by another program"):
            async with start_laptop(replace(settings, services_port=port), ignore):
                pass
    assert not (settings.data / "logs").exists()
    assert not is_locked(settings.data)


async def test_a_base_model_that_cannot_be_made_stops_it_before_a_server_starts(
    settings: LaptopSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODELS_URL")
    monkeypatch.setenv("TUNELOOP_CACHE", "/proc/nowhere")
    settings.data.mkdir(mode=0o700)
    (settings.data / "models").write_text("a file where the folder should be")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    steps: list[tuple[str, str]] = []
    with pytest.raises(LaptopError, match=f"The base model cannot be made: .*{settings.data}/models"):
        async with start_laptop(settings, lambda *step: steps.append(step)):
            pass
    notes = [words for name, words in steps if name == NOTE]
    assert any("TUNELOOP_CACHE=FOLDER" in words for words in notes)
    assert any("TUNELOOP_VLLM_PYTHON names an interpreter" in words for words in notes)
    assert [log.name for log in (settings.data / "logs").iterdir()] == ["base-model.log"]


async def test_a_folder_in_use_is_said_with_the_way_out(settings: LaptopSettings) -> None:
    with lock_folder(settings.data), pytest.raises(LaptopError, match=r"already runs in .*--data FOLDER"):
        async with start_laptop(settings, ignore):
            pass


async def test_programs_left_by_a_killed_run_are_waited_for(settings: LaptopSettings) -> None:
    left = lock_folder(settings.data, ".children")
    starting = asyncio.create_task(_start_and_stop(settings))
    await asyncio.wait({starting}, timeout=0.5)
    assert not starting.done()
    left.close()
    await asyncio.wait_for(starting, 30)


async def test_programs_that_do_not_go_away_are_said(
    settings: LaptopSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(laptop, "LEFTOVERS_SECONDS", 0.1)
    with lock_folder(settings.data, ".children"), pytest.raises(LaptopError, match="earlier run"):
        await _start_and_stop(settings)
    assert not is_locked(settings.data)


async def _start_and_stop(settings: LaptopSettings) -> None:
    async with start_laptop(settings, ignore):
        pass


def test_sigterm_stops_it_with_the_usual_exit_code(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "MODELS_URL": "http://127.0.0.1:1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    assert said == ""
    assert not (tmp_path / "running.json").exists()


def test_a_system_that_still_starts_is_not_taken_for_running(tmp_path: Path) -> None:
    with lock_folder(tmp_path), pytest.raises(LaptopError, match="is starting or stopping"):
        running(tmp_path)


def test_only_its_owner_may_read_where_a_system_answers(tmp_path: Path) -> None:
    system = Running(
        Addresses(clickhouse_url="http://tuneloop:pw@127.0.0.1:2/tuneloop"), "http://g", "http://s", tmp_path
    )
    keep_running(tmp_path, system)
    assert (tmp_path / "running.json").stat().st_mode & 0o777 == 0o600
    with lock_folder(tmp_path):
        assert running(tmp_path) == system
