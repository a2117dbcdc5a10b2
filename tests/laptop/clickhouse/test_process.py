"""The server as a process: starting, refusing to start, dying, and what it keeps."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pytest

from deploy.laptop.clickhouse.ready import takes_queries
from tests.servers.clickhouse import execute, start_clickhouse, stop, wait_until_ready
from tests.servers.model import free_port


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


def test_an_open_port_of_another_server_is_not_taken_for_ready(running: Running) -> None:
    running.start()
    wrong = running.url.replace("tuneloop:", "tuneloop:x")
    assert not takes_queries(wrong)
