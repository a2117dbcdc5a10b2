"""A job as a Kubernetes Job, against a server that speaks the endpoints and runs the real process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.clickhouse import ClickHouse
from shared.job_launcher import PAST_DEADLINE, CannotStart, KubernetesJob, Launched
from shared.job_launcher.kubernetes_api import KubernetesApi
from shared.job_launcher.manifest import KubernetesSettings
from shared.job_protocol import JobProgress, Order, Result, read_line
from shared.migrations import migrate
from tests.servers.kubernetes import TOKEN, Kubernetes
from tests.shared.example_service import ExampleService

HOUR = timedelta(hours=1)


@pytest.fixture
async def kubernetes(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kubernetes]:
    monkeypatch.setattr("shared.job_launcher.kubernetes_job.pause_seconds", lambda failures: 0.05)
    async with Kubernetes("tests.shared.example_job").serving() as kubernetes:
        yield kubernetes


@pytest.fixture
def launcher(kubernetes: Kubernetes, tmp_path: Path) -> KubernetesJob:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    api = KubernetesApi(kubernetes.url, "loop", token)
    return KubernetesJob("retraining", KubernetesSettings(image="image"), api)


def order(tmp_path: Path, *steps: tuple[str, str]) -> Order:
    task: dict[str, Any] = {"steps": [list(step) for step in steps], "folder": str(tmp_path / "scratch")}
    return Order(job_id="j1", kind="train", task=task, folder="/state/retraining/j1")


async def said(launched: Launched) -> list[Any]:
    async with asyncio.timeout(60):
        lines = [line async for line in launched.lines()]
    return [one for one in (read_line("j1", line) for line in lines) if one is not None]


async def until_begun(tmp_path: Path) -> None:
    async with asyncio.timeout(60):
        while not (tmp_path / "scratch" / "starts").exists():
            await asyncio.sleep(0.02)


async def test_its_log_brings_the_answer_among_everything_else(
    launcher: KubernetesJob, kubernetes: Kubernetes, tmp_path: Path
) -> None:
    launched = await launcher.start(order(tmp_path, ("print", "{}"), ("report", "half way")), HOUR)
    progress, result = await said(launched)
    assert isinstance(progress, JobProgress)
    assert isinstance(result, Result)
    assert await launched.ending() is None
    await launched.stop()
    await launched.stop()
    assert kubernetes.jobs == {}


async def test_a_crash_is_told_with_its_exit_code_and_the_next_start_is_a_new_job(
    launcher: KubernetesJob, kubernetes: Kubernetes, tmp_path: Path
) -> None:
    first = await launcher.start(order(tmp_path, ("crash at first", "")), HOUR)
    assert await said(first) == []
    assert await first.ending() == "BackoffLimitExceeded, exit code 137 (Error)"
    second = await launcher.start(order(tmp_path, ("crash at first", "")), HOUR)
    assert [type(one) for one in await said(second)] == [Result]
    assert await second.ending() is None
    assert len(kubernetes.created) == 2


async def test_a_service_that_comes_back_listens_to_the_job_it_left(
    launcher: KubernetesJob, kubernetes: Kubernetes, tmp_path: Path
) -> None:
    steps = [("report", "early"), ("wait for", str(tmp_path / "go"))]
    first = await launcher.start(order(tmp_path, *steps), HOUR)
    await until_begun(tmp_path)
    await first.leave()
    again = await launcher.start(order(tmp_path, *steps), HOUR)
    (tmp_path / "go").touch()
    assert [type(one) for one in await said(again)] == [JobProgress, Result]
    assert len(kubernetes.created) == 1
    once_more = await launcher.start(order(tmp_path, *steps), HOUR)  # killed before the answer was stored
    assert [type(one) for one in await said(once_more)] == [JobProgress, Result]
    assert await once_more.ending() is None
    assert len(kubernetes.created) == 1


async def test_a_log_that_breaks_off_is_read_again(
    launcher: KubernetesJob, kubernetes: Kubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.job_launcher.kubernetes_job.SETTLING_SECONDS", 0.2)
    kubernetes.breaks_logs = 2
    launched = await launcher.start(
        order(tmp_path, ("report", "early"), ("wait for", str(tmp_path / "go"))), HOUR
    )
    listening = asyncio.create_task(said(launched))
    async with asyncio.timeout(60):
        while kubernetes.breaks_logs:
            await asyncio.sleep(0.02)
    (tmp_path / "go").touch()
    assert [type(one) for one in await listening] == [JobProgress, Result]


async def test_an_api_server_that_is_away_costs_nothing_but_time(
    launcher: KubernetesJob, kubernetes: Kubernetes, tmp_path: Path
) -> None:
    kubernetes.is_away = True
    starting = asyncio.create_task(launcher.start(order(tmp_path), HOUR))
    await asyncio.sleep(0.3)
    kubernetes.is_away = False
    launched = await asyncio.wait_for(starting, 30)
    assert [type(one) for one in await said(launched)] == [Result]


async def test_to_stop_is_to_delete_and_the_process_ends(
    launcher: KubernetesJob, kubernetes: Kubernetes, tmp_path: Path
) -> None:
    launched = await launcher.start(order(tmp_path, ("wait for", "/never")), HOUR)
    await until_begun(tmp_path)
    await launched.stop()
    assert kubernetes.jobs == {}
    assert await asyncio.wait_for(launched.ending(), 30) == "the deletion of its Job"
    assert await said(launched) == []


async def test_a_deadline_that_kubernetes_kept_is_told(
    launcher: KubernetesJob, kubernetes: Kubernetes, tmp_path: Path
) -> None:
    launched = await launcher.start(order(tmp_path, ("wait for", "/never")), HOUR)
    await until_begun(tmp_path)
    (name,) = kubernetes.jobs
    assert kubernetes.jobs[name]["spec"]["activeDeadlineSeconds"] == 3600
    await kubernetes.fail(name, "DeadlineExceeded")
    assert await asyncio.wait_for(launched.ending(), 30) == PAST_DEADLINE


async def test_a_refusal_of_kubernetes_is_final_and_quoted(
    launcher: KubernetesJob, kubernetes: Kubernetes, tmp_path: Path
) -> None:
    launcher.api.token_file.write_text("expired")
    with pytest.raises(Exception, match="Unauthorized"):
        await launcher.start(order(tmp_path), HOUR)
    launcher.api.token_file.write_text(TOKEN)
    without_image = KubernetesJob("retraining", KubernetesSettings(), launcher.api)
    with pytest.raises(CannotStart, match="IMAGE"):
        await without_image.start(order(tmp_path), HOUR)


async def test_a_service_that_is_stopped_leaves_its_jobs_running_and_its_successor_publishes_them(
    launcher: KubernetesJob, kubernetes: Kubernetes, clickhouse: ClickHouse, tmp_path: Path
) -> None:
    await migrate(clickhouse, "retraining")
    first, second = (
        ExampleService(clickhouse, tmp_path / name, launcher=launcher) for name in ("first", "second")
    )
    task = order(tmp_path, ("wait for", str(tmp_path / "go"))).task
    await first.runner.submit("j1", "example", "tickets", task)
    running = asyncio.create_task(first.runner.run_for_ever())
    await until_begun(tmp_path)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    running = asyncio.create_task(second.runner.run_for_ever())
    await asyncio.sleep(0.3)
    (tmp_path / "go").touch()
    async with asyncio.timeout(60):
        while kubernetes.jobs or not second.done:
            await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert second.done[0].result is not None
    assert (len(kubernetes.created), first.done) == (1, [])
