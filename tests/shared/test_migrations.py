"""The promises of `shared/migrations`, kept by a real server."""

from __future__ import annotations

import asyncio
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from shared.clickhouse import ClickHouse, connect
from shared.flow import FLOW
from shared.migrations import CannotMigrate, migrate
from shared.migrations.lock import LockLost, migration_lock
from shared.migrations.pending import parsed
from shared.migrations.written import read, statements
from tests.servers.model import ROOT

FIRST = """-- oldest code beside it: 0.1

-- A note; this comment; is no statement.
CREATE TABLE IF NOT EXISTS notes (id String, text String, said UInt8)
ENGINE = ReplacingMergeTree(said) ORDER BY id;
"""
COPY = """-- oldest code beside it: 0.2

-- only if notes.said exists
DROP TABLE IF EXISTS notes_0002 SYNC;
-- only if notes.said exists
CREATE TABLE notes_0002 (id String, text String, published UInt8)
ENGINE = ReplacingMergeTree(published) ORDER BY id;
-- only if notes.said exists
INSERT INTO notes_0002 SELECT id, text, said FROM notes;
-- only if notes.said exists
EXCHANGE TABLES notes AND notes_0002;
-- only if notes_0002.said exists
INSERT INTO notes SELECT id, text, said FROM notes_0002;
-- only if notes_0002.said exists
DROP TABLE notes_0002 SYNC;
"""
VIEWS = "CREATE OR REPLACE VIEW notes_v1 AS SELECT id, text FROM notes FINAL;"
MORE_VIEWS = "CREATE OR REPLACE VIEW notes_v1 AS SELECT id, text, upper(text) AS loud FROM notes FINAL;"
ADDS_A_ROW = "-- oldest code beside it: 0.2\nINSERT INTO notes VALUES (generateUUIDv4(), 'x', 0);"


class Written:
    """A service's folder that grows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "migrations").mkdir()
        self.add("0001_initial.sql", FIRST)
        self.views(VIEWS)

    def add(self, name: str, sql: str) -> None:
        (self.folder / "migrations" / name).write_text(sql)

    def views(self, sql: str) -> None:
        (self.folder / "views.sql").write_text(sql)

    def without(self, name: str) -> None:
        (self.folder / "migrations" / name).unlink()

    async def migrate(self, clickhouse: ClickHouse, **settings: Any) -> None:
        await migrate(clickhouse, "keeping", self.folder, **settings)


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path)


async def count(clickhouse: ClickHouse, table: str = "notes") -> int:
    (row,) = await clickhouse.rows(f"SELECT count() AS n FROM {table}")
    return int(row["n"])


async def tables(clickhouse: ClickHouse) -> set[str]:
    return {row["name"] for row in await clickhouse.rows("SHOW TABLES")}


async def test_a_migration_is_applied_once(clickhouse: ClickHouse, written: Written) -> None:
    written.add("0002_a_row.sql", ADDS_A_ROW)
    for _ in range(3):
        await written.migrate(clickhouse)
    assert await count(clickhouse, "notes_v1") == 1
    assert await tables(clickhouse) == {"notes", "notes_v1", "schema_migrations"}


async def test_two_that_start_at_once_apply_it_once(
    clickhouse: ClickHouse, database_url: str, written: Written
) -> None:
    written.add("0002_a_row.sql", ADDS_A_ROW)
    other = await connect(database_url)
    await asyncio.gather(*(written.migrate(client) for client in (clickhouse, other) * 3))
    await other.close()
    assert await count(clickhouse) == 1


async def test_what_a_kill_cut_off_is_done_again_by_the_next(
    clickhouse: ClickHouse, database_url: str, written: Written
) -> None:
    written.add("0002_copy.sql", COPY)
    written.add("0003_slow.sql", "-- oldest code beside it: 0.2\nSELECT sleep(3);")
    migrating = (
        "import asyncio, pathlib, shared.clickhouse as c, shared.migrations as m\n"
        "async def main():\n"
        f"    clickhouse, folder = await c.connect({database_url!r}), pathlib.Path({str(written.folder)!r})\n"
        "    await m.migrate(clickhouse, 'keeping', folder)\n"
        "asyncio.run(main())"
    )
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", migrating, cwd=ROOT)
    running = "SELECT 1 FROM system.processes WHERE query LIKE 'SELECT sleep(3)%'"
    while not await clickhouse.rows(running):
        assert child.returncode is None
        await asyncio.sleep(0.05)
    child.kill()
    await asyncio.wait_for(child.wait(), timeout=10)
    assert "keeping_migration_lock" in await tables(clickhouse)
    await asyncio.wait_for(written.migrate(clickhouse, stale_seconds=3), timeout=30)
    recorded = await clickhouse.rows("SELECT number FROM schema_migrations FINAL ORDER BY number")
    assert [row["number"] for row in recorded] == [0, 1, 2, 3]
    assert "keeping_migration_lock" not in await tables(clickhouse)


async def test_a_dead_holders_lock_is_broken_by_one_alone(
    clickhouse: ClickHouse, database_url: str, written: Written
) -> None:
    written.add("0002_a_row.sql", ADDS_A_ROW)
    await clickhouse.command(
        "CREATE TABLE keeping_migration_lock (beat_at DateTime64(3, 'UTC')) "
        "ENGINE = MergeTree ORDER BY beat_at COMMENT 'dead'"
    )
    others = [await connect(database_url) for _ in range(4)]
    await asyncio.gather(*(written.migrate(other, stale_seconds=3) for other in others))
    for other in others:
        await other.close()
    assert await count(clickhouse) == 1
    broken = {name for name in await tables(clickhouse) if "lock" in name}
    assert broken == {"keeping_migration_lock_broken_dead"}


async def test_nobody_breaks_the_lock_of_one_who_lives(clickhouse: ClickHouse, written: Written) -> None:
    async with migration_lock(clickhouse, "keeping", 3) as lock:
        waiting = asyncio.create_task(written.migrate(clickhouse, stale_seconds=3))
        await asyncio.wait({waiting}, timeout=5)
        assert not waiting.done()
        await lock.raise_if_lost()
    await asyncio.wait_for(waiting, timeout=10)


async def test_who_was_taken_for_dead_goes_no_further(clickhouse: ClickHouse) -> None:
    async with migration_lock(clickhouse, "keeping", 30) as lock:
        await clickhouse.command(f"RENAME TABLE {lock.table} TO broken")
        with pytest.raises(LockLost):
            await lock.raise_if_lost()
        async with migration_lock(clickhouse, "keeping", 30) as next_one:
            await next_one.raise_if_lost()


async def test_older_code_refuses_tables_that_name_a_newer_one(
    clickhouse: ClickHouse, written: Written
) -> None:
    written.add("0002_copy.sql", COPY.replace("beside it: 0.2", "beside it: 0.3"))
    await written.migrate(clickhouse, code="0.4.1")
    written.without("0002_copy.sql")
    with pytest.raises(
        CannotMigrate, match=r"^tuneloop 0\.4\.1 has migrated .* is tuneloop 0\.2\.0: run 0\.3 or newer"
    ) as refused:
        await written.migrate(clickhouse, code="0.2.0")
    assert "\n" not in str(refused.value)
    await written.migrate(clickhouse, code="0.3.0")


async def test_older_code_leaves_the_views_of_newer_code(clickhouse: ClickHouse, written: Written) -> None:
    written.views(MORE_VIEWS)
    await written.migrate(clickhouse, code="0.3.0")
    written.views(VIEWS)
    await written.migrate(clickhouse, code="0.2.0")
    assert await clickhouse.rows("SELECT loud FROM notes_v1") == []


async def test_newer_code_replaces_views(clickhouse: ClickHouse, written: Written) -> None:
    await written.migrate(clickhouse, code="0.2.0")
    written.views(MORE_VIEWS)
    await written.migrate(clickhouse, code="0.3.0")
    assert await clickhouse.rows("SELECT loud FROM notes_v1") == []


async def test_a_migration_edited_after_it_was_applied_is_refused(
    clickhouse: ClickHouse, written: Written
) -> None:
    await written.migrate(clickhouse)
    written.add("0001_initial.sql", FIRST.replace("-- A note", "-- A corrected comment"))
    await written.migrate(clickhouse)
    written.add("0001_initial.sql", FIRST.replace("text String", "text String CODEC(ZSTD(3))"))
    with pytest.raises(CannotMigrate, match=r"keeping/migrations/0001_initial\.sql is not what"):
        await written.migrate(clickhouse)


@pytest.mark.parametrize("done_before_the_kill", range(7))
async def test_a_table_copy_cut_off_anywhere_loses_no_row(
    clickhouse: ClickHouse, written: Written, done_before_the_kill: int
) -> None:
    await written.migrate(clickhouse)
    rows = [{"id": str(n), "text": f"kept {n}", "said": n % 2} for n in range(1000)]
    await clickhouse.insert("notes", rows)
    for statement in statements(COPY)[:done_before_the_kill]:
        await clickhouse.command(statement.sql)
    written.add("0002_copy.sql", COPY)
    await written.migrate(clickhouse)
    kept = await clickhouse.rows("SELECT id, text, published AS said FROM notes FINAL ORDER BY toInt64(id)")
    assert kept == rows
    assert await count(clickhouse, "notes_v1") == 1000
    assert "notes_0002" not in await tables(clickhouse)


@pytest.mark.parametrize("service", sorted(FLOW))
async def test_every_services_statements_may_run_again(clickhouse: ClickHouse, service: str) -> None:
    await migrate(clickhouse, service)
    written = read(files(f"services.{service}"))
    assert [migration.number for migration in written.migrations] == [
        1 + place for place in range(len(written.migrations))
    ]
    if not written.is_empty:
        before = await tables(clickhouse)
        await clickhouse.command("TRUNCATE TABLE schema_migrations")
        await migrate(clickhouse, service)
        assert await tables(clickhouse) == before


def test_a_file_is_split_into_its_statements_and_their_guards() -> None:
    guarded, plain = statements(
        "-- why; so\n-- only if a.b exists\nDROP TABLE a;\n\n-- more\nSELECT 1;\n-- end\n"
    )
    assert (guarded.sql, guarded.only_if) == ("DROP TABLE a", ("a", "b"))
    assert (plain.sql, plain.only_if) == ("SELECT 1", None)
    assert statements("-- nothing yet\n\n;\n") == ()


@pytest.mark.parametrize(
    ("name", "sql"),
    [("2_short.sql", ADDS_A_ROW), ("0002_silent.sql", "SELECT 1;"), ("0001_again.sql", ADDS_A_ROW)],
)
def test_a_file_that_is_no_numbered_migration_is_refused(written: Written, name: str, sql: str) -> None:
    written.add(name, sql)
    with pytest.raises(ValueError, match="migration"):
        read(written.folder)


def test_versions_are_compared_by_their_numbers() -> None:
    assert parsed("0.10.0") > parsed("0.9.1") > parsed("0.9") > parsed("0.1.0")
    assert not parsed("0.2.0") < parsed("0.2")
