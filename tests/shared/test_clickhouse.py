"""The promises of `shared/clickhouse.py`, kept by a real server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shared.clickhouse import ClickHouse, connect
from tests.servers.clickhouse import start_clickhouse, stop, wait_until_ready
from tests.servers.model import free_port

NOTES = """CREATE TABLE notes (id String, text String) ENGINE = MergeTree ORDER BY id
SETTINGS non_replicated_deduplication_window = 100"""


async def test_a_token_inserts_its_rows_once(clickhouse: ClickHouse) -> None:
    await clickhouse.command(NOTES)
    rows = [{"id": str(number), "text": "x"} for number in range(10)]
    for _ in range(2):
        await clickhouse.insert("notes", rows, token="prediction-logged-v1/0/0-9")
    assert await clickhouse.rows("SELECT count() AS n FROM notes") == [{"n": 10}]
    await clickhouse.insert("notes", rows, token="prediction-logged-v1/0/10-19")
    assert await clickhouse.rows("SELECT count() AS n FROM notes") == [{"n": 20}]


async def test_no_rows_are_no_insert(clickhouse: ClickHouse) -> None:
    await clickhouse.insert("a_table_that_does_not_exist", [])


async def test_parameters_are_values_and_never_sql(clickhouse: ClickHouse) -> None:
    await clickhouse.command(NOTES)
    hostile = "'; DROP TABLE notes; -- \\ \n {id:String}"
    await clickhouse.insert("notes", [{"id": "1", "text": hostile}, {"id": "2", "text": "other"}])
    found = await clickhouse.rows("SELECT id FROM notes WHERE text = {text:String}", text=hostile)
    assert found == [{"id": "1"}]
    among = await clickhouse.rows("SELECT id FROM notes WHERE id IN {ids:Array(String)}", ids=["2", "') --"])
    assert among == [{"id": "2"}]


async def test_one_client_answers_many_queries_at_once(clickhouse: ClickHouse) -> None:
    answers = await asyncio.gather(
        *(clickhouse.rows("SELECT {n:UInt32} AS n, sleep(0.02)", n=number) for number in range(20))
    )
    assert [rows[0]["n"] for rows in answers] == list(range(20))


async def test_connecting_waits_for_a_server_that_is_not_there_yet(tmp_path: Path) -> None:
    port = free_port()
    early = start_clickhouse(tmp_path, port)
    url = await asyncio.to_thread(wait_until_ready, early, tmp_path, port)
    stop(early)
    connecting = asyncio.create_task(connect(url))
    await asyncio.wait({connecting}, timeout=0.2)
    assert not connecting.done()
    server = start_clickhouse(tmp_path, port)
    try:
        clickhouse = await asyncio.wait_for(connecting, timeout=60)
        assert await clickhouse.rows("SELECT currentDatabase() AS name") == [{"name": "tuneloop"}]
        await clickhouse.close()
    finally:
        stop(server)


async def test_patience_ends_with_a_message_that_says_where_to_look() -> None:
    port = free_port()
    with pytest.raises(TimeoutError, match=f"127.0.0.1:{port}.*CLICKHOUSE_URL"):
        await connect(f"http://tuneloop:pw@127.0.0.1:{port}/tuneloop", patience_seconds=0)


async def test_a_database_name_is_never_sql() -> None:
    with pytest.raises(ValueError, match="letters, digits and _"):
        await connect("http://tuneloop:pw@127.0.0.1:1/x;DROP DATABASE tuneloop", patience_seconds=0)
