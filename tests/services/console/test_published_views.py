"""The console's SQL on the views as their owners publish them, and the stand-ins held against those."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.console.cycle_status import Snapshot, stages
from services.console.store import ConsoleStore
from shared.clickhouse import ClickHouse
from shared.migrations import migrate
from tests.servers.model import ROOT
from tests.services.console import examples
from tests.services.console.examples import NOW

OWNERS = sorted(path.parent.name for path in Path(ROOT, "services").glob("*/views.sql"))


@pytest.fixture
async def published(clickhouse: ClickHouse) -> ClickHouse:
    for owner in OWNERS:
        await migrate(clickhouse, owner)
    return clickhouse


async def columns(clickhouse: ClickHouse) -> dict[str, set[str]]:
    rows = await clickhouse.rows(
        "SELECT table, groupArray(name) AS names FROM system.columns "
        "WHERE database = currentDatabase() AND table LIKE '%_v1' GROUP BY table"
    )
    return {row["table"]: set(row["names"]) for row in rows}


async def test_every_question_can_be_asked_of_the_real_views(published: ClickHouse) -> None:
    store = ConsoleStore(published)
    workload = examples.definition()
    assert stages(await store.snapshot(workload, "x", NOW, NOW)) == stages(Snapshot(workload, "x"))
    assert await store.to_review("tickets", "ada", ["p1"], 10) == []
    assert await store.span("tickets", NOW) is None
    assert await store.buckets("tickets", NOW, examples.HOUR) == []
    assert await store.cycle("tickets", "c1") is None
    assert await store.corrections_until("tickets", NOW) == 0
    assert (await store.counts("tickets")).predictions == 0


async def test_the_stand_ins_have_the_real_views_columns(published: ClickHouse) -> None:
    real = await columns(published)
    for statement in examples.VIEWS_SQL.split("CREATE TABLE IF NOT EXISTS ")[1:]:
        await published.command("CREATE TABLE IF NOT EXISTS stand_in_" + statement.strip().rstrip(";"))
    for name, names in (await columns(published)).items():
        if name.startswith("stand_in_"):
            assert names == real[name.removeprefix("stand_in_")], name
