"""Tables change by numbered migrations: applied once, forward only, recorded, under a lock.

A service keeps them in `services/<name>/migrations/0001_initial.sql`, `0002_….sql`, and what others may read
in `services/<name>/views.sql`. A process can be killed between a statement and the record of its migration,
so every statement may run again.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

from shared import VERSION
from shared.clickhouse import ClickHouse
from shared.migrations.lock import STALE_SECONDS, MigrationLock, migration_lock
from shared.migrations.pending import CannotMigrate, Recorded, pending, views_are_due
from shared.migrations.written import Migration, Statement, read

__all__ = ["CannotMigrate", "migrate"]

STATEMENT_SECONDS = 3600.0  # one may rewrite a large table
RECORD = """CREATE TABLE IF NOT EXISTS schema_migrations (
    service LowCardinality(String), number UInt32, name String, digest String,
    oldest_code String, applied_by String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = ReplacingMergeTree(applied_at) ORDER BY (service, number)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"""


async def migrate(
    clickhouse: ClickHouse,
    service: str,
    folder: Traversable | None = None,
    *,
    code: str = VERSION,
    stale_seconds: float = STALE_SECONDS,
) -> None:
    """Brings a service's tables and views to what this code wants; a service without any needs no ClickHouse.

    Waits while another process does the same. Raises CannotMigrate, with one line that says what to do, where
    this code may not run on these tables. `folder` is the service's own unless given.
    """
    written = read(folder or files(f"services.{service}"))
    if written.is_empty:
        return
    await clickhouse.command(RECORD)
    recorded = await _recorded(clickhouse, service)
    if not pending(service, written.migrations, recorded, code) and not views_are_due(
        written.views, recorded, code
    ):
        return
    async with migration_lock(clickhouse, service, stale_seconds) as lock:
        recorded = await _recorded(clickhouse, service)
        due = pending(service, written.migrations, recorded, code)
        for migration in due:
            await _run(clickhouse, lock, migration.statements)
            await _record(clickhouse, service, migration, code)
        if due or views_are_due(written.views, recorded, code):
            await _run(clickhouse, lock, written.views.statements)
            await _record(clickhouse, service, written.views, code)


async def _run(clickhouse: ClickHouse, lock: MigrationLock, statements: tuple[Statement, ...]) -> None:
    for statement in statements:
        await lock.raise_if_lost()
        if statement.only_if is None or await _exists(clickhouse, *statement.only_if):
            await clickhouse.patient(STATEMENT_SECONDS).command(statement.sql)


async def _exists(clickhouse: ClickHouse, table: str, column: str) -> bool:
    return bool(
        await clickhouse.rows(
            "SELECT 1 FROM system.columns WHERE database = currentDatabase() "
            "AND table = {table:String} AND name = {column:String}",
            table=table,
            column=column,
        )
    )


async def _recorded(clickhouse: ClickHouse, service: str) -> dict[int, Recorded]:
    rows = await clickhouse.rows(
        "SELECT number, name, digest, oldest_code, applied_by FROM schema_migrations FINAL "
        "WHERE service = {service:String}",
        service=service,
    )
    return {row["number"]: Recorded(**row) for row in rows}


async def _record(clickhouse: ClickHouse, service: str, migration: Migration, code: str) -> None:
    row = {
        "service": service,
        "number": migration.number,
        "name": migration.name,
        "digest": migration.digest,
        "oldest_code": migration.oldest_code,
        "applied_by": code,
    }
    await clickhouse.insert("schema_migrations", [row])
