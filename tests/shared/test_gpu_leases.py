"""Whose job has which GPU, on a real table and with real processes; the GPUs are names and nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from shared.clickhouse import ClickHouse
from shared.jobs import Job
from shared.migrations import migrate
from tests.shared.example_service import ExampleService
from tests.shared.test_jobs import running, starts, submit, until

TWO = ("GPU-a", "GPU-b")


@pytest.fixture(autouse=True)
async def _tables(clickhouse: ClickHouse) -> None:
    await migrate(clickhouse, "retraining")


async def held(service: ExampleService) -> dict[str, tuple[str, ...]]:
    """Job → the GPUs that its row names, of those under way."""
    return {job.job_id: job.gpus for job in await service.table.unpublished() if job.lease_until}


def saw(*services: ExampleService) -> Mapping[str, str]:
    """Job → what its process was let see."""
    return {job.job_id: (job.result or {})["gpus"] for service in services for job in service.done}


async def test_two_runs_at_once_have_a_gpu_each_and_a_third_waits_for_one(
    clickhouse: ClickHouse, tmp_path: Path
) -> None:
    service = ExampleService(clickhouse, tmp_path / "state", at_once=3, gpus=TWO)
    async with running(service):
        for name in ("1", "2", "3"):
            await submit(service, name, [("wait for", str(tmp_path / f"go-{name}"))], workload=name)
        await until(lambda: starts(tmp_path, "1") and starts(tmp_path, "2"))
        await asyncio.sleep(0.3)
        assert starts(tmp_path, "3") == []
        assert await held(service) == {"1": ("GPU-a",), "2": ("GPU-b",)}
        (tmp_path / "go-2").touch()
        await until(lambda: starts(tmp_path, "3"))
        assert await held(service) == {"1": ("GPU-a",), "3": ("GPU-b",)}
        (tmp_path / "go-1").touch()
        (tmp_path / "go-3").touch()
        await until(lambda: len(service.done) == 3)
    assert saw(service) == {"1": "GPU-a", "2": "GPU-b", "3": "GPU-b"}


async def test_two_processes_of_one_host_that_look_at_the_same_moment_take_another_gpu_each(
    clickhouse: ClickHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = services = [
        ExampleService(clickhouse, tmp_path / name, gpus=TWO) for name in ("state", "other")
    ]
    both_have_looked = asyncio.Barrier(2)
    for service, workload in zip(services, ("1", "2"), strict=True):
        service.owned = {workload}
        await submit(service, workload, [("wait for", str(tmp_path / "go"))], workload)
        _look_together(service, both_have_looked, monkeypatch)
    async with running(*services):
        await until(lambda: starts(tmp_path, "1") and (tmp_path / "other" / "2" / "starts").exists())
        (tmp_path / "go").touch()
        await until(lambda: one.done and other.done)
    assert sorted(saw(one, other).values()) == ["GPU-a", "GPU-b"]
    assert [job.attempts for job in (*one.done, *other.done)] == [1, 1]


def _look_together(
    service: ExampleService, barrier: asyncio.Barrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first look at the table ends when the other's has: neither has written anything by then."""
    look, looks = service.table.unpublished, 0

    async def unpublished() -> list[Job]:
        nonlocal looks
        looks += 1
        jobs = await look()
        if looks == 1:
            await barrier.wait()
        return jobs

    monkeypatch.setattr(service.table, "unpublished", unpublished)
