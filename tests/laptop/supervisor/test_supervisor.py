"""Children start in order, come back, stop in reverse order, and never outlive their supervisor."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from deploy.laptop.folder_lock import is_locked, lock_folder
from deploy.laptop.log_files import MOST_BYTES
from deploy.laptop.supervisor import ChildFailed, Supervisor
from tests.laptop.supervisor.stand_ins import broken, server, service
from tests.servers.model import ROOT


class Steps:
    """What a supervisor says, awaitable."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self._changed = asyncio.Event()

    def __call__(self, name: str, words: str) -> None:
        self.said.append((name, words))
        self._changed.set()

    async def until(self, wanted: Callable[[str, str], bool]) -> None:
        async with asyncio.timeout(20):
            while not any(wanted(name, words) for name, words in self.said):
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
async def steps() -> Steps:
    return Steps()


@pytest.fixture
async def supervisor(tmp_path: Path, steps: Steps) -> AsyncIterator[Supervisor]:
    with lock_folder(tmp_path, "held") as held:
        supervisor = Supervisor(tmp_path / "logs", held, steps)
        yield supervisor
        await supervisor.stop()


@pytest.mark.parametrize("make", [server, service])
async def test_a_child_that_was_killed_comes_back_while_the_rest_keeps_running(
    supervisor: Supervisor, steps: Steps, tmp_path: Path, make: Callable[..., object]
) -> None:
    await supervisor.start(server(tmp_path, "other"))
    await supervisor.start(make(tmp_path, "victim"))  # type: ignore[arg-type]
    before = supervisor.pids()
    os.kill(before["victim"], signal.SIGKILL)
    await steps.until(lambda name, words: (name, words) == ("victim", "is back"))
    after = supervisor.pids()
    assert after["victim"] != before["victim"]
    assert after["other"] == before["other"]
    assert steps.said[0] == ("victim", "ended with SIGKILL; starting it again in 0.2 s")


async def test_children_stop_in_reverse_order(supervisor: Supervisor, tmp_path: Path) -> None:
    for child in (server(tmp_path, "kafka"), service(tmp_path, "gateway"), service(tmp_path, "services")):
        await supervisor.start(child)
    await supervisor.stop()
    assert (tmp_path / "stopped").read_text().split() == ["services", "gateway", "kafka"]
    assert supervisor.pids() == {}


async def test_a_child_that_cannot_start_is_said_with_its_last_line_and_its_log(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    with pytest.raises(ChildFailed) as failure:
        await supervisor.start(broken(tmp_path, "clickhouse"))
    assert str(failure.value) == (
        "ended with exit code 3: the tables are damaged: restore them from yesterday "
        f"(all of it: {tmp_path}/logs/clickhouse.log)"
    )


async def test_a_child_that_dies_again_before_it_is_ready_waits_longer_each_time(
    supervisor: Supervisor, steps: Steps, tmp_path: Path
) -> None:
    await supervisor.start(server(tmp_path, "victim"))
    (tmp_path / "victim.broken").touch()
    os.kill(supervisor.pids()["victim"], signal.SIGKILL)
    await steps.until(lambda name, words: words.endswith("again in 0.8 s"))
    (tmp_path / "victim.broken").unlink()
    await steps.until(lambda name, words: words == "is back")
    reasons = [words.partition(" (")[0] for _, words in steps.said]
    assert reasons[:2] == [
        "ended with SIGKILL; starting it again in 0.2 s",
        "ended with exit code 1: it is broken",
    ]


async def test_a_child_waiting_to_be_started_again_is_not_started_after_the_stop(
    supervisor: Supervisor, steps: Steps, tmp_path: Path
) -> None:
    await supervisor.start(service(tmp_path, "victim"))
    os.kill(supervisor.pids()["victim"], signal.SIGKILL)
    await steps.until(lambda name, words: words.startswith("ended with SIGKILL"))
    await supervisor.stop()
    assert supervisor.pids() == {}
    assert (tmp_path / "logs" / "victim.log").read_text().count("victim starts") == 1


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A supervisor in a process of its own, whose three children are ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.laptop.supervisor.stand_ins", str(tmp_path),
        cwd=ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    yield process
    if process.returncode is None:
        process.kill()
        await process.wait()


async def test_kill_9_of_the_supervisor_leaves_nothing_behind(
    process: asyncio.subprocess.Process, tmp_path: Path
) -> None:
    assert process.stdout is not None
    pids = json.loads(await process.stdout.readline())
    assert sorted(pids) == ["first", "second", "third"]
    process.kill()
    await process.wait()
    (await asyncio.to_thread(lock_folder, tmp_path, "held", patience_seconds=10)).close()
    assert not any(is_alive(pid) for pid in pids.values())


async def test_ctrl_c_stops_all_in_reverse_order(process: asyncio.subprocess.Process, tmp_path: Path) -> None:
    assert process.stdout is not None
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.wait(), 60)  # for ever where whoever started the tests ignores SIGINT
    assert (tmp_path / "stopped").read_text().split() == ["third", "second", "first"]
    assert not is_locked(tmp_path, "held")


def is_alive(pid: int) -> bool:
    """A zombie that nobody has collected yet is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_log_is_kept_in_bounds_while_its_child_runs(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.laptop.supervisor.LOG_SECONDS", 0.05)
    await supervisor.start(server(tmp_path, "talker"))
    log = tmp_path / "logs" / "talker.log"
    with log.open("ab") as content:
        content.write(b"x" * (MOST_BYTES + 1))
    async with asyncio.timeout(20):
        while log.stat().st_size > MOST_BYTES:
            await asyncio.sleep(0.05)  # a thread of the supervisor's: there is nothing to await
    assert (tmp_path / "logs" / "talker.log.1").stat().st_size == MOST_BYTES
