"""What the console asks of a real `workloads`, and what the page can say when it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.console.commands import Commands
from services.console.cycle_status import Round, Stage, StageState, under_way
from shared.clickhouse import ClickHouse
from shared.events import RunCancelRequested
from shared.service_client import ServiceClient, ServiceRefused
from tests.servers.http import app_of, serving
from tests.services.workloads.conftest import NOON, Workloads, corrected


@pytest.fixture
async def commands(workloads: Workloads) -> AsyncIterator[Commands]:
    await workloads.add_and_promote()
    async with serving(app_of(workloads.service)) as url, ServiceClient(url) as client:
        yield Commands(client)


async def test_the_latest_round_is_as_the_service_tells_it(commands: Commands, workloads: Workloads) -> None:
    assert await commands.latest_round("tickets") == Round(
        "promotion", True, "promoted", sentence="It is better"
    )
    await workloads.apply(*(corrected(f"p{n}", "refund") for n in range(6)))
    assert await commands.start_cycle("tickets", "ada", "a test") == (6, 6)
    latest = await commands.latest_round("tickets")
    assert under_way(latest) == (Stage.FAILURES, StageState.WORKING)


async def test_what_cannot_be_is_refused_with_the_reason(commands: Commands) -> None:
    with pytest.raises(ServiceRefused, match="no earlier champion"):
        await commands.roll_back("tickets", "ada", "a test")
    with pytest.raises(ServiceRefused) as nothing_to_learn:
        await commands.start_cycle("tickets", "ada", "a test")
    assert nothing_to_learn.value.status == 409


async def test_a_run_is_cancelled(commands: Commands, workloads: Workloads, clickhouse: ClickHouse) -> None:
    row = {"run_id": "r1", "workload": "tickets", "dataset_id": "d", "state": "training", "changed_at": NOON}
    await clickhouse.insert("runs_v1", [row])
    await commands.cancel("r1", "ada", "the wrong rows")
    (event,) = [one for one in workloads.published if isinstance(one, RunCancelRequested)]
    assert (event.run_id, event.requested_by, event.reason) == ("r1", "ada", "the wrong rows")
    with pytest.raises(ServiceRefused, match="No run has an id that begins with “r2”"):
        await commands.cancel("r2", "ada", "a test")


async def test_a_workload_is_retired(commands: Commands, workloads: Workloads) -> None:
    await commands.retire("tickets", "ada", "a test")
    assert (await workloads.client.get("/workloads")).json() == []
