"""The promises of `shared/clickhouse.py`, kept by a real server."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from deploy.laptop.clickhouse.users import ensure_passwords
from shared.clickhouse import CannotUseClickHouse, ClickHouse, connect
from shared.clickhouse.refusals import Place, refusal, too_old
from tests.servers.clickhouse import execute, start_clickhouse, stop, wait_until_ready
from tests.servers.model import free_port

NOTES = "CREATE TABLE notes (id String, text String) ENGINE = MergeTree ORDER BY id"


async def test_rows_and_columns_are_stored_alike(clickhouse: ClickHouse) -> None:
    await clickhouse.command(NOTES)
    await clickhouse.insert("notes", [{"id": "1", "text": "x"}, {"id": "2", "text": "y"}])
    await clickhouse.insert_columns("notes", {"text": ["z"], "id": ["3"]})
    assert await clickhouse.rows("SELECT id, text FROM notes ORDER BY id") == [
        {"id": "1", "text": "x"}, {"id": "2", "text": "y"}, {"id": "3", "text": "z"},
    ]  # fmt: skip


@asynccontextmanager
async def overheard(url: str) -> AsyncIterator[tuple[str, bytearray]]:
    """Gives an address before the server at `url`, and what is sent there."""
    server, sent = urlsplit(url), bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, ahead = await asyncio.open_connection(server.hostname, server.port)
        answers = asyncio.create_task(pass_on(behind, writer, bytearray()))
        await pass_on(reader, ahead, sent)
        await answers

    async def pass_on(source: asyncio.StreamReader, to: asyncio.StreamWriter, heard: bytearray) -> None:
        while some := await source.read(1 << 16):
            heard += some
            to.write(some)
        to.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        yield url.replace(f":{server.port}/", f":{listening.sockets[0].getsockname()[1]}/"), sent


@pytest.mark.parametrize("is_here", [True, False])
async def test_only_what_leaves_this_machine_travels_compressed(
    clickhouse: ClickHouse, database_url: str, monkeypatch: pytest.MonkeyPatch, is_here: bool
) -> None:
    await clickhouse.command(NOTES)
    rows = [{"id": f"{number:04}", "text": "often said"} for number in range(1000)]
    if not is_here:
        monkeypatch.setattr("shared.clickhouse.opening.HOSTS", ())
    async with overheard(database_url) as (url, sent):
        server = await connect(url)
        await server.insert("notes", rows)
        assert await server.rows("SELECT id, text FROM notes ORDER BY id") == rows
        await server.close()
    assert (sent.count(b"often said") == len(rows)) == is_here


async def test_a_question_may_be_about_any_number_of_rows_of_any_text(clickhouse: ClickHouse) -> None:
    await clickhouse.command(NOTES)
    texts = [
        "tab\there",
        "back\\slash\\n",
        "new\nline",
        "'quoted'",
        *(f"{'x' * 100}{n}" for n in range(5000)),
    ]
    await clickhouse.insert(
        "notes", [{"id": str(n), "text": text} for n, text in enumerate([*texts, "other"])]
    )
    found = await clickhouse.rows_about(
        [(text,) for text in texts], ("text",), "SELECT id FROM notes WHERE text IN (SELECT text FROM asked)"
    )
    assert len(found) == len(texts)


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
    with pytest.raises(CannotUseClickHouse, match="letters, digits and _"):
        await connect("http://tuneloop:pw@127.0.0.1:1/x;DROP DATABASE tuneloop", patience_seconds=0)


@dataclass(frozen=True)
class OwnServer:
    """A server that only one test uses."""

    process: subprocess.Popen[bytes]
    port: int
    url: str
    reader_password: str


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[OwnServer]:
    port = free_port()
    process = start_clickhouse(tmp_path, port)
    url = wait_until_ready(process, tmp_path, port)
    execute(url, "CREATE DATABASE IF NOT EXISTS tuneloop")
    yield OwnServer(process, port, url, ensure_passwords(tmp_path / "passwords.json").reader)
    stop(process)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://reader:secret@127.0.0.1:9/my-tables", "a database's name"),
        ("http://reader:secret@127.0.0.1:9/a/b", "a database's name"),
        ("http://reader:sec/ret@127.0.0.1:9/tuneloop", "its port"),
        ("http://reader:secret@127.0.0.1:99999/tuneloop", "its port"),
    ],
)
async def test_a_url_that_names_no_database_is_refused_without_being_quoted(url: str, said: str) -> None:
    with pytest.raises(CannotUseClickHouse, match=said) as refused:
        await connect(url)
    assert "sec" not in str(refused.value)


PLACE = Place("tables", 8123, "tuneloop", "loop")


async def test_a_wrong_password_ends_the_wait_and_is_named(clickhouse_url: str) -> None:
    password = str(urlsplit(clickhouse_url).password)
    with pytest.raises(CannotUseClickHouse, match=r"refuses user “tuneloop”.*CLICKHOUSE_URL") as refused:
        await asyncio.wait_for(connect(clickhouse_url.replace(password, "wrong-" + password)), 20)
    assert password not in str(refused.value)


def test_refusals_say_what_to_change() -> None:
    assert "CREATE DATABASE loop; GRANT ALL ON loop.* TO tuneloop" in str(refusal(PLACE, 81))
    assert "ADD HOST" in str(refusal(PLACE, 195))
    assert refusal(PLACE, 241) is None  # memory: it passes
    assert refusal(PLACE, None) is None


@pytest.mark.parametrize(
    ("version", "refused"),
    [("24.12.1.5", True), ("25.7.9", True), ("25.8.3.66", False), ("26.9", False), ("", False)],
)
def test_a_server_that_is_too_old_is_refused(version: str, refused: bool) -> None:
    assert (too_old(PLACE, version) is not None) == refused


async def test_a_database_that_is_there_needs_no_right_to_make_one(own_server: OwnServer) -> None:
    reader = f"http://reader:{own_server.reader_password}@127.0.0.1:{own_server.port}"
    clickhouse = await connect(f"{reader}/tuneloop", patience_seconds=5)
    assert await clickhouse.rows("SELECT currentUser() AS name") == [{"name": "reader"}]
    await clickhouse.close()
    with pytest.raises(CannotUseClickHouse, match="has no database “missing”, and “reader” may not make it"):
        await connect(f"{reader}/missing")


async def test_a_server_that_hangs_holds_no_call_longer_than_its_bound(own_server: OwnServer) -> None:
    clickhouse = await connect(own_server.url)
    own_server.process.send_signal(signal.SIGSTOP)
    try:
        for call in (clickhouse.patient(0.5).rows("SELECT 1"), clickhouse.patient(0.5).command("SELECT 1")):
            with pytest.raises(TimeoutError, match="did not answer within"):
                await asyncio.wait_for(call, 5)
        with pytest.raises(TimeoutError, match="CLICKHOUSE_URL"):
            await asyncio.wait_for(connect(own_server.url, patience_seconds=0), 20)
    finally:
        own_server.process.send_signal(signal.SIGCONT)
        await clickhouse.close()
