"""One process migrates a service's tables at a time: ClickHouse creates a table of a given name only once.

The lock is the table `<service>_migration_lock`: its comment names the holder, its rows are the holder's
heartbeat. A dead holder's lock is broken by renaming it after that holder: of several that see it is stale
one succeeds, and one that comes late finds the name taken, so that nobody renames the next holder's lock.
The renamed table stays as the trace of a migration that was cut off.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from shared.clickhouse import ClickHouse

STALE_SECONDS = 30.0
BEATS_WHILE_FRESH = 6  # heartbeats that may fail before others take the holder for dead
LOOK_SECONDS = 0.2
TABLE_EXISTS, UNKNOWN_TABLE = 57, 60
log = logging.getLogger(__name__)


class LockLost(Exception):
    """Others took this process for dead, and may be migrating: it must start again."""


@dataclass(frozen=True)
class MigrationLock:
    """A lock that is held."""

    clickhouse: ClickHouse
    table: str
    holder: str

    async def raise_if_lost(self) -> None:
        if await holder_of(self.clickhouse, self.table) != self.holder:
            raise LockLost(f"{self.table} was taken over; the next start migrates again")


@asynccontextmanager
async def migration_lock(
    clickhouse: ClickHouse, service: str, stale_seconds: float
) -> AsyncIterator[MigrationLock]:
    """Waits for the lock, and holds it until the end of the block."""
    lock = MigrationLock(clickhouse, f"{service}_migration_lock", uuid4().hex)
    waited = False
    while not await _taken(lock):
        if not waited:
            log.info("%s: another process migrates the tables; waiting for it", service)
            waited = True
        await _break_if_stale(clickhouse, lock.table, stale_seconds)
        await asyncio.sleep(LOOK_SECONDS)
    beating = asyncio.create_task(_beat(lock, stale_seconds / BEATS_WHILE_FRESH))
    try:
        yield lock
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        if await holder_of(clickhouse, lock.table) == lock.holder:
            await clickhouse.command(f"DROP TABLE {lock.table} SYNC")


async def holder_of(clickhouse: ClickHouse, table: str) -> str | None:
    """Who holds the lock; None when nobody does."""
    rows = await clickhouse.rows(
        "SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = {table:String}",
        table=table,
    )
    return str(rows[0]["comment"]) if rows else None


async def _taken(lock: MigrationLock) -> bool:
    try:
        await lock.clickhouse.command(
            f"CREATE TABLE {lock.table} (beat_at DateTime64(3, 'UTC') DEFAULT now64(3)) "
            f"ENGINE = MergeTree ORDER BY beat_at COMMENT '{lock.holder}'"
        )
    except DatabaseError as error:
        if error.code == TABLE_EXISTS:
            return False
        raise
    return True


async def _beat(lock: MigrationLock, seconds: float) -> None:
    while True:
        with suppress(ClickHouseError, OSError):  # too many in a row, and raise_if_lost will tell
            await lock.clickhouse.command(f"INSERT INTO {lock.table} VALUES (now64(3))")
        await asyncio.sleep(seconds)


async def _break_if_stale(clickhouse: ClickHouse, table: str, stale_seconds: float) -> None:
    try:
        rows = await clickhouse.rows(
            "SELECT comment AS holder, dateDiff('millisecond', greatest(metadata_modification_time, "
            f"(SELECT max(beat_at) FROM {table})), now64(3)) / 1000 AS silent_seconds "
            "FROM system.tables WHERE database = currentDatabase() AND name = {table:String}",
            table=table,
        )
        if not rows or rows[0]["silent_seconds"] < stale_seconds:
            return
        holder = rows[0]["holder"]
        await clickhouse.command(f"RENAME TABLE {table} TO {table}_broken_{holder}")
        log.warning("%s: its holder has been silent for %s s; broken", table, stale_seconds)
    except DatabaseError as error:
        if error.code not in (TABLE_EXISTS, UNKNOWN_TABLE):  # broken or released by others meanwhile
            raise
