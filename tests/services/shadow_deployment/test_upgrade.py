"""Verdicts and the alias's history come over from the tables of version 0.1."""

from __future__ import annotations

from importlib.resources import files

import pytest

from services.shadow_deployment.store import ShadowStore
from shared.clickhouse import ClickHouse
from shared.migrations import migrate
from shared.migrations.written import Statement, read
from tests.services.shadow_deployment.example_events import CUTOFF

FIRST, SECOND = read(files("services.shadow_deployment")).migrations[:2]
REVISION = {
    "workload": "tickets",
    "adapter": "tickets-v1",
    "uri": "file:///files/adapters/tickets-v1",
    "digest": "sha256:" + "0" * 64,
    "base_model": "small",
    "kind": "promoted",
    "run_id": "run-1",
    "since": CUTOFF,
}


async def as_0_1_left_it(clickhouse: ClickHouse) -> None:
    for statement in FIRST.statements:
        await clickhouse.command(statement.sql)
    for said in (0, 1):
        for number in (1, 2):
            await clickhouse.insert("champions", [REVISION | {"revision": number, "said": said}])
    await clickhouse.insert("champions", [REVISION | {"revision": 3, "said": 0}])
    await clickhouse.insert(
        "verdicts", [{"workload": "tickets", "run_id": f"run-{n}", "said": n % 2} for n in range(5)]
    )


async def held(clickhouse: ClickHouse, statement: Statement) -> bool:
    if statement.only_if is None:
        return True
    table, column = statement.only_if
    return bool(
        await clickhouse.rows(
            "SELECT 1 FROM system.columns WHERE database = currentDatabase() "
            "AND table = {table:String} AND name = {column:String}",
            table=table,
            column=column,
        )
    )


@pytest.mark.parametrize("done_before_the_kill", range(len(SECOND.statements) + 1))
async def test_a_migration_cut_off_anywhere_keeps_every_verdict_and_revision(
    clickhouse: ClickHouse, done_before_the_kill: int
) -> None:
    await as_0_1_left_it(clickhouse)
    for statement in SECOND.statements[:done_before_the_kill]:
        if await held(clickhouse, statement):
            await clickhouse.command(statement.sql)
    await migrate(clickhouse, "shadow_deployment")
    history = await ShadowStore(clickhouse).history("tickets")
    assert [(one.revision, one.is_published) for one in history] == [(1, True), (2, True), (3, False)]
    verdicts = await clickhouse.rows("SELECT run_id, published FROM verdicts FINAL ORDER BY run_id")
    assert verdicts == [{"run_id": f"run-{n}", "published": n % 2} for n in range(5)]
    left = {row["name"] for row in await clickhouse.rows("SHOW TABLES")}
    assert not left & {"champions", "verdicts_0002"}
