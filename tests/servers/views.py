"""Views that other services publish, for a test to fill: tables with the columns of their owner's SQL."""

from __future__ import annotations

from shared.clickhouse import ClickHouse
from shared.migrations import migrate
from tests.servers.model import ROOT

OWNERS = sorted(path.parent.name for path in (ROOT / "services").glob("*/views.sql"))
"""Every service that publishes a view."""


async def views_as_tables(clickhouse: ClickHouse, *owners: str) -> None:
    """Puts an empty table in the place of every view that these services publish."""
    before = await _views(clickhouse)
    for owner in owners:
        await migrate(clickhouse, owner)
    for view in await _views(clickhouse) - before:
        await clickhouse.command(
            f"CREATE TABLE {view}_filled ENGINE = MergeTree ORDER BY () EMPTY AS SELECT * FROM {view}"
        )
        await clickhouse.command(f"DROP VIEW {view} SYNC")
        await clickhouse.command(f"RENAME TABLE {view}_filled TO {view}")


async def _views(clickhouse: ClickHouse) -> set[str]:
    rows = await clickhouse.rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View'"
    )
    return {row["name"] for row in rows}
