"""The server as a process: starting, refusing to start, dying, and what it keeps."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pytest

from deploy.laptop.children import Place, addresses, children
from deploy.laptop.clickhouse.ready import takes_queries
from deploy.laptop.clickhouse.users import ensure_passwords
from deploy.laptop.folder_lock import lock_folder
from deploy.laptop.supervisor import Supervisor
from tests.servers.clickhouse import execute, start_clickhouse, stop, wait_until_ready
from tests.servers.model import free_port

ELSEWHERE = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "MODELS_URL": "http://127.0.0.1:1"}


class Running:
    """A server that a test starts and ends as it likes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> subprocess.Popen[bytes]:
        self.process = start_clickhouse(self.folder, self.port)
        self.url = wait_until_ready(self.process, self.folder, self.port)
        return self.process


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    server = Running(tmp_path)
    yield server
    if server.process is not None:
        server.process.kill()
        server.process.wait()


def test_kill_9_loses_no_acknowledged_insert(running: Running) -> None:
    process = running.start()
    execute(running.url, "CREATE DATABASE tuneloop")
    execute(running.url, "CREATE TABLE tuneloop.rows (batch UInt32) ENGINE = MergeTree ORDER BY batch")
    acknowledged: list[int] = []
    enough = threading.Event()

    def insert() -> None:
        try:
            for batch in range(100_000):
                execute(running.url, f"INSERT INTO tuneloop.rows SELECT {batch} FROM numbers(500)")
                acknowledged.append(batch)
                if batch == 40:
                    enough.set()
        except (OSError, HTTPException):  # the server is gone, as it must be
            return

    inserting = threading.Thread(target=insert)
    inserting.start()
    assert enough.wait(timeout=30)
    process.kill()
    process.wait()
    inserting.join(timeout=30)
    running.start()
    answer = execute(running.url, "SELECT batch, count() FROM tuneloop.rows GROUP BY batch ORDER BY batch")
    pairs = [line.split("\t") for line in answer.splitlines()]
    kept = {int(batch): int(rows) for batch, rows in pairs}
    assert set(acknowledged) <= set(kept)
    assert set(kept.values()) == {500}


@pytest.mark.parametrize("way", ["stdin", "SIGTERM", "SIGINT"])
def test_it_ends_well_when_told(running: Running, way: str) -> None:
    process = running.start()
    if way == "stdin":
        stop(process)
    else:
        process.send_signal(signal.Signals[way])
    assert process.wait(timeout=5) == 0
    assert not takes_queries(running.url)


def test_a_taken_port_is_said_with_the_way_out(running: Running, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", running.port)):
        assert start_clickhouse(tmp_path, running.port).wait(timeout=30) == 2
    said = (tmp_path / "output.log").read_text()
    assert said.splitlines() == [
        f"port {running.port} is taken: stop what listens there, or choose another --port"
    ]


def test_a_second_server_on_a_folder_is_refused_and_the_first_goes_on(
    running: Running, tmp_path: Path
) -> None:
    running.start()
    configuration = (tmp_path / "clickhouse" / "config.xml").read_text()
    assert start_clickhouse(tmp_path, free_port()).wait(timeout=30) == 2
    assert "is in use by another process" in (tmp_path / "output.log").read_text()
    assert (tmp_path / "clickhouse" / "config.xml").read_text() == configuration
    assert takes_queries(running.url)


async def test_one_that_runs_and_no_longer_listens_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.laptop.supervisor.ASK_SECONDS", 0.1)
    place = Place(tmp_path, tmp_path, {"clickhouse": free_port(), "gateway": 1, "services": 1})
    where = addresses(place, ELSEWHERE, ensure_passwords(place.passwords).tuneloop, "key", "session")
    clickhouse = next(child for child in children(place, where) if child.name == "clickhouse")
    said: asyncio.Queue[str] = asyncio.Queue()
    with lock_folder(tmp_path) as held:
        supervisor = Supervisor(tmp_path / "logs", held, lambda name, words: said.put_nowait(words))
        await supervisor.start(clickhouse)
        try:
            first = supervisor.pids()["clickhouse"]
            await asyncio.to_thread(execute, where.clickhouse_url, "SYSTEM STOP LISTEN HTTP")
            assert not takes_queries(where.clickhouse_url)
            assert supervisor.pids()["clickhouse"] == first
            async with asyncio.timeout(60):
                assert (
                    await said.get()
                    == "did not answer 4 times in a row and was killed; starting it again in 0.2 s"
                )
                assert await said.get() == "is back"
            assert takes_queries(where.clickhouse_url)
            assert supervisor.pids()["clickhouse"] != first
        finally:
            await supervisor.stop()


def test_it_listens_on_the_one_port_of_loopback_and_on_nothing_else(running: Running) -> None:
    process = running.start()
    sockets = {os.readlink(file) for file in Path(f"/proc/{process.pid}/fd").iterdir() if file.is_symlink()}
    listening = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if f"socket:[{inode}]" in sockets and (state == "0A" or table.startswith("udp")):
                address, _, port = local.partition(":")
                listening.add((address, int(port, 16)))
    loopback = {"0100007F", "00000000000000000000000001000000"}
    assert listening
    assert {port for _, port in listening} == {running.port}
    assert {address for address, _ in listening} <= loopback


def test_an_open_port_of_another_server_is_not_taken_for_ready(running: Running) -> None:
    running.start()
    wrong = running.url.replace("tuneloop:", "tuneloop:x")
    assert not takes_queries(wrong)
