"""Jobs on a real table, each a real process: who is killed, who takes over, what comes of it."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from shared.addresses import Addresses
from shared.clickhouse import ClickHouse
from shared.events import Event, now
from shared.files import Files
from shared.job_launcher import ChildProcess
from shared.jobs import Job, JobLimits, JobState, runner_for
from shared.migrations import migrate
from shared.model_server import ModelServer
from shared.service import ServiceContext
from tests.servers.model import ROOT
from tests.shared.example_service import ExampleService

Steps = list[tuple[str, str]]


@pytest.fixture
async def service(clickhouse: ClickHouse, tmp_path: Path) -> ExampleService:
    await migrate(clickhouse, "retraining")
    return ExampleService(clickhouse, tmp_path / "state")


@asynccontextmanager
async def running(*services: ExampleService) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(service.runner.run_for_ever()) for service in services]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def submit(service: ExampleService, job_id: str, steps: Steps, workload: str = "tickets") -> None:
    await service.runner.submit(job_id, "example", workload, {"steps": steps})


def starts(folder: Path, job_id: str) -> list[int]:
    """The process ids of the job's starts so far."""
    file = folder / "state" / job_id / "starts"
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


async def stored(service: ExampleService, job_id: str) -> Job:
    job = await service.table.get(job_id)
    assert job is not None
    return job


async def until_published(service: ExampleService, job_id: str) -> None:
    async with asyncio.timeout(60):
        while (await stored(service, job_id)).state is not JobState.PUBLISHED:
            await asyncio.sleep(0.05)


async def test_what_is_wanted_while_it_waits_runs_at_once_and_its_folder_goes(
    service: ExampleService, tmp_path: Path
) -> None:
    async with running(service):
        await asyncio.sleep(0.3)  # it has looked, found nothing, and waits for news
        await submit(service, "j1", [("report", "half way")])
        await submit(service, "j1", [("crash", "")])
        await until_published(service, "j1")
    (job,) = service.done
    assert (job.attempts, job.error, service.progress) == (1, None, ["half way"])
    assert list((tmp_path / "state").iterdir()) == []


async def test_a_killed_process_is_started_again_in_its_folder(
    service: ExampleService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.jobs.execution.RETRY_SECONDS", 0.05)
    async with running(service):
        await submit(service, "j1", [("crash at first", "")])
        await until(lambda: service.done)
    assert (service.done[0].attempts, service.done[0].error) == (2, None)


async def test_the_third_crash_ends_a_job_and_a_refusal_ends_it_at_once(
    service: ExampleService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.jobs.execution.RETRY_SECONDS", 0.05)
    async with running(service):
        await submit(service, "crashes", [("crash", "")])
        await submit(service, "refuses", [("refuse", "no rows")], "other")
        await until(lambda: len(service.done) == 2)
    ended = {job.job_id: (job.attempts, job.error) for job in service.done}
    assert ended["refuses"] == (1, "no rows")
    assert ended["crashes"] == (3, "example failed 3 times: the process ended with signal SIGKILL")


async def test_stray_lines_are_counted_and_neither_answered_nor_quoted(
    service: ExampleService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with running(service):
        await submit(service, "j1", [("print", "ada@example.org")])
        await until(lambda: service.done)
    assert service.done[0].result is not None
    assert "1 stray lines ignored" in caplog.text
    assert "ada@example.org" not in caplog.text


async def test_a_cancelled_job_ends_at_once_with_the_reason_and_its_process_with_it(
    service: ExampleService, tmp_path: Path
) -> None:
    async with running(service):
        await submit(service, "j1", [("wait for", "/never")])
        await until(lambda: starts(tmp_path, "j1"))
        (pid,) = starts(tmp_path, "j1")
        await service.runner.cancel("j1", "cancelled by ops: the wrong rows")
        await until(lambda: service.done, seconds=5)
        await until_published(service, "j1")
        await service.runner.cancel("j1", "cancelled by ops: once more")
        await asyncio.sleep(0.2)
    (job,) = service.done
    assert (job.error, job.result) == ("cancelled by ops: the wrong rows", None)
    assert not is_alive(pid)
    assert list((tmp_path / "state").iterdir()) == []


async def test_a_job_that_waits_is_cancelled_without_being_begun(
    service: ExampleService, tmp_path: Path
) -> None:
    async with running(service):
        await submit(service, "j1", [("wait for", str(tmp_path / "go"))])
        await submit(service, "j2", [])
        await until(lambda: starts(tmp_path, "j1"))
        await service.runner.cancel("j2", "cancelled by ops")
        await service.runner.cancel("unheard-of", "cancelled by ops")
        (tmp_path / "go").touch()
        await until(lambda: len(service.done) == 2)
    assert [(job.job_id, job.error) for job in service.done] == [("j1", None), ("j2", "cancelled by ops")]
    assert not starts(tmp_path, "j2")


async def test_what_was_cancelled_while_nobody_ran_it_is_told_by_the_next(
    service: ExampleService, tmp_path: Path
) -> None:
    await submit(service, "j1", [("wait for", "/never")])
    await service.table.cancel("j1", "cancelled by ops")
    async with running(service):
        await until_published(service, "j1")
    assert [(job.error, job.attempts) for job in service.done] == [("cancelled by ops", 0)]
    assert not starts(tmp_path, "j1")


async def test_a_lease_renewed_at_the_same_moment_does_not_undo_a_cancel(service: ExampleService) -> None:
    await submit(service, "j1", [])
    before = await stored(service, "j1")
    await service.table.cancel("j1", "cancelled by ops")
    await service.table.keep(replace(before, revision=before.revision + 1, lease_until=now()))
    assert (await stored(service, "j1")).error == "cancelled by ops"


async def test_a_job_cancelled_elsewhere_ends_when_its_lease_is_renewed(
    service: ExampleService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.jobs.attempt.LEASE", timedelta(seconds=1))
    async with running(service):
        await submit(service, "j1", [("wait for", "/never")])
        await until(lambda: starts(tmp_path, "j1"))
        (pid,) = starts(tmp_path, "j1")
        await service.table.cancel("j1", "cancelled by ops")
        await until_published(service, "j1")
    assert [job.error for job in service.done] == ["cancelled by ops"]
    assert not is_alive(pid)


async def test_a_job_past_its_deadline_is_killed_and_has_failed(
    clickhouse: ClickHouse, tmp_path: Path, service: ExampleService
) -> None:
    service = ExampleService(clickhouse, tmp_path / "state", deadline_seconds=1.5)
    async with running(service):
        await submit(service, "j1", [("wait for", "/never")])
        await until(lambda: starts(tmp_path, "j1"))
        (pid,) = starts(tmp_path, "j1")
        await until(lambda: service.done)
    assert service.done[0].error == "example took longer than its deadline of 0.000417 hours"
    assert not is_alive(pid)


async def test_a_killed_service_takes_its_processes_with_it_and_the_next_goes_on(
    service: ExampleService, database_url: str, tmp_path: Path
) -> None:
    await submit(service, "j1", [("wait for", str(tmp_path / "go"))])
    command = [sys.executable, "-m", "tests.shared.example_service", database_url, str(tmp_path / "state")]
    first = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    try:
        await until(lambda: starts(tmp_path, "j1"))
    finally:
        first.kill()
        await first.wait()
    (pid,) = starts(tmp_path, "j1")
    await until(lambda: not is_alive(pid))
    (tmp_path / "go").touch()
    async with running(service):
        await until(lambda: service.done, seconds=40)  # sooner than its lease runs out
    assert (service.done[0].attempts, service.done[0].error) == (2, None)


async def test_a_partition_that_comes_back_at_once_stops_no_process(
    service: ExampleService, tmp_path: Path
) -> None:
    async with running(service):
        await submit(service, "j1", [("wait for", str(tmp_path / "go"))])
        await until(lambda: starts(tmp_path, "j1"))
        for owned in ({"other"}, None):
            service.owned = owned
            service.runner.look_again()
            await asyncio.sleep(0.2)
        (tmp_path / "go").touch()
        await until(lambda: service.done)
    assert service.done[0].attempts == 1


async def test_when_its_partition_moves_a_job_moves_with_it(
    service: ExampleService, clickhouse: ClickHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.jobs.runner.HAND_OVER", timedelta(seconds=0.5))
    other = ExampleService(clickhouse, tmp_path / "other")
    service.owned, other.owned = {"tickets"}, set()
    async with running(service, other):
        await submit(service, "j1", [("wait for", str(tmp_path / "go"))])
        other.runner.look_again()
        await until(lambda: starts(tmp_path, "j1"))
        (pid,) = starts(tmp_path, "j1")
        assert not (tmp_path / "other").exists()
        service.owned, other.owned = set(), {"tickets"}
        service.runner.look_again()
        await until(lambda: not is_alive(pid))
        other.runner.look_again()
        (tmp_path / "go").touch()
        await until(lambda: other.done)
        await until_published(service, "j1")
    assert service.done == []
    assert other.done[0].attempts == 1, "an attempt that was given up in good order counts for nothing"


async def test_a_lease_that_nobody_renews_is_waited_for_and_taken_over(service: ExampleService) -> None:
    await submit(service, "j1", [])
    job = await stored(service, "j1")
    await service.table.keep(
        replace(job, lease_owner="gone", lease_until=now() + timedelta(seconds=2), revision=1)
    )
    async with running(service):
        await asyncio.sleep(1)
        assert service.done == []
        await until(lambda: service.done)


async def test_a_running_job_renews_its_lease(
    service: ExampleService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.jobs.attempt.LEASE", timedelta(seconds=0.6))
    monkeypatch.setattr("shared.jobs.execution.LEASE", timedelta(seconds=0.6))
    async with running(service):
        await submit(service, "j1", [("wait for", str(tmp_path / "go"))])
        await until(lambda: starts(tmp_path, "j1"))
        first = (await stored(service, "j1")).lease_until
        await asyncio.sleep(1)
        second = (await stored(service, "j1")).lease_until
        (tmp_path / "go").touch()
        await until(lambda: service.done)
    assert first is not None
    assert second is not None
    assert second > first


async def test_who_finds_its_job_taken_over_stops_its_process(
    service: ExampleService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.jobs.attempt.LEASE", timedelta(seconds=0.3))
    async with running(service):
        await submit(service, "j1", [("wait for", "/never")])
        await until(lambda: starts(tmp_path, "j1"))
        (pid,) = starts(tmp_path, "j1")
        job = await stored(service, "j1")
        taken = replace(job, lease_owner="other", lease_until=now() + timedelta(minutes=1))
        await service.table.keep(replace(taken, revision=job.revision + 10))
        await until(lambda: not is_alive(pid))
        await asyncio.sleep(0.3)
        assert (await stored(service, "j1")).lease_owner == "other"
    assert len(starts(tmp_path, "j1")) == 1


async def test_of_two_that_are_at_work_on_one_job_the_later_answer_is_not_published(
    service: ExampleService, clickhouse: ClickHouse, tmp_path: Path
) -> None:
    other = ExampleService(clickhouse, tmp_path / "other")
    mine, theirs = tmp_path / "state" / "j1", tmp_path / "other" / "j1"
    await submit(service, "j1", [("wait for in folder", "go")])
    async with running(service):
        await until(lambda: starts(tmp_path, "j1"))
        (pid,) = starts(tmp_path, "j1")
        job = await stored(service, "j1")
        await service.table.keep(replace(job, lease_owner="", lease_until=None, revision=job.revision + 1))
        async with running(other):  # as if Kafka had given it the partition, and nobody had told the first
            await until((theirs / "starts").exists)
            (theirs / "go").touch()
            await until_published(other, "j1")
            (mine / "go").touch()
            await until(lambda: not is_alive(pid))
            await asyncio.sleep(0.5)
    assert (len(other.done), service.done) == (1, [])
    assert (await stored(service, "j1")).result == other.done[0].result


async def test_jobs_of_a_workload_run_in_order_and_others_beside_them_up_to_the_limit(
    service: ExampleService, tmp_path: Path
) -> None:
    async with running(service):
        await submit(service, "a1", [("wait for", str(tmp_path / "a"))], "a")
        await submit(service, "a2", [], "a")
        await submit(service, "b1", [("wait for", str(tmp_path / "b"))], "b")
        await submit(service, "c1", [], "c")
        await until(lambda: starts(tmp_path, "a1") and starts(tmp_path, "b1"))
        await asyncio.sleep(0.3)
        assert starts(tmp_path, "a2") == starts(tmp_path, "c1") == []
        metric = service.registry.get_sample_value
        assert metric("tuneloop_retraining_jobs_running") == 2
        assert metric("tuneloop_retraining_jobs_waiting") == 2
        (tmp_path / "b").touch()
        await until(lambda: {"b1", "c1"} <= {job.job_id for job in service.done})
        assert starts(tmp_path, "a2") == []
        (tmp_path / "a").touch()
        await until(lambda: len(service.done) == 4)
    assert [job.job_id for job in service.done if job.workload == "a"] == ["a1", "a2"]


async def test_how_long_a_job_has_been_silent_can_be_seen(service: ExampleService, tmp_path: Path) -> None:
    silence = "tuneloop_retraining_job_silent_seconds"
    assert service.registry.get_sample_value(silence) == 0
    async with running(service):
        steps = [("wait for", str(tmp_path / "go")), ("report", "news"), ("wait for", str(tmp_path / "end"))]
        await submit(service, "j1", steps)
        await until(lambda: (service.registry.get_sample_value(silence) or 0) > 1.2)
        (tmp_path / "go").touch()
        await until(lambda: service.progress)
        assert (service.registry.get_sample_value(silence) or 0) < 1
        (tmp_path / "end").touch()
        await until(lambda: service.done)


async def test_what_cannot_be_published_is_published_later_and_holds_up_nobody(
    service: ExampleService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.jobs.execution.pause_seconds", lambda failures: 0.1)
    service.cannot_publish.add("a1")
    async with running(service):
        await submit(service, "a1", [], "a")
        await until(lambda: service.failed_to_publish)
        await submit(service, "b1", [], "b")
        await until(lambda: service.done)
        service.cannot_publish.clear()
        await until(lambda: len(service.done) == 2)
    assert [job.job_id for job in service.done] == ["b1", "a1"]


async def test_tables_that_are_away_for_a_moment_stop_no_process(
    service: ExampleService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.jobs.runner.pause_seconds", lambda failures: 0.1)
    away = [ConnectionError("away")] * 3
    unpublished = service.table.unpublished

    async def unpublished_or_away() -> list[Job]:
        if away and starts(tmp_path, "j1"):
            raise away.pop()
        return await unpublished()

    monkeypatch.setattr(service.table, "unpublished", unpublished_or_away)
    async with running(service):
        await submit(service, "j1", [("wait for", str(tmp_path / "go"))])
        await until(lambda: starts(tmp_path, "j1"))
        service.runner.look_again()
        await until(lambda: not away)
        (tmp_path / "go").touch()
        await until(lambda: service.done)
    assert service.done[0].attempts == 1


async def test_a_job_that_version_0_1_wanted_for_no_workload_is_carried_on(
    service: ExampleService, clickhouse: ClickHouse
) -> None:
    old = {"kind": "example", "task": '{"steps": []}', "attempts": 1, "result": "", "error": ""}
    row = old | {"job_id": "j1", "state": "wanted", "revision": 1, "changed_at": now()}
    await clickhouse.insert("retraining_jobs", [row])
    assert (await stored(service, "j1")).workload == ""
    async with running(service):
        await until_published(service, "j1")


async def test_a_job_that_never_comes_to_an_end_is_not_begun_for_ever(service: ExampleService) -> None:
    await submit(service, "j1", [])
    job = await stored(service, "j1")
    await service.table.keep(replace(job, attempts=10, revision=1))
    async with running(service):
        await until(lambda: service.done)
    assert service.done[0].error == "example was begun 10 times and never came to an end"


async def test_a_service_runs_the_jobs_of_the_partitions_it_is_given(
    service: ExampleService, clickhouse: ClickHouse, tmp_path: Path
) -> None:
    owned: set[str] = set()
    told: list[Callable[[], None]] = []

    async def publish(*_: Event) -> None:
        raise AssertionError("nothing is published here")

    files = Files(tmp_path.as_uri(), tmp_path / "cache")
    context = ServiceContext(
        Addresses(),
        publish,
        clickhouse,
        files,
        ModelServer(""),
        now,
        CollectorRegistry(),
        tmp_path / "state",
        owns=owned.__contains__,
        on_ownership_change=told.append,
    )
    limits = JobLimits(1, {"example": timedelta(minutes=1)})
    launcher = ChildProcess("tests.shared.example_job")
    service.runner = runner_for(
        "retraining", context, service.table, launcher, limits, service.on_progress, service.on_done
    )
    async with running(service):
        await submit(service, "j1", [])
        await asyncio.sleep(0.5)
        assert service.done == []
        owned.add("tickets")
        (tell,) = told
        tell()
        await until(lambda: service.done)
