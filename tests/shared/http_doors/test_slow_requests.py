"""A client that sends no more is not waited for; one that is only slow is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send

from shared.http_doors import patient_protocol
from shared.http_doors.slow_requests import (
    BODY_BYTES_A_SECOND,
    BODY_SECONDS,
    HEAD_SECONDS,
    MOST_HEAD_BYTES,
    Part,
    is_too_slow,
)
from shared.http_server import HttpServer, server_config
from shared.loopback import bound_sockets

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Open = Callable[[], Awaitable[Stream]]
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"


def test_a_head_has_seconds_and_a_body_a_second_more_for_what_came_of_it() -> None:
    assert not is_too_slow(Part.HEAD, HEAD_SECONDS, 0)
    assert is_too_slow(Part.HEAD, HEAD_SECONDS + 1, 10**9)
    assert is_too_slow(Part.BODY, BODY_SECONDS + 1, 100)
    assert not is_too_slow(Part.BODY, 3600, 3600 * BODY_BYTES_A_SECOND)


def test_a_request_that_is_here_waits_for_us_as_long_as_it_takes() -> None:
    assert not is_too_slow(Part.NOTHING, 10**6, 0)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    else:
        return
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
    )
    await send({"type": "http.response.body", "body": body})


async def answer_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes a hundred times as fast for the server's patience."""

    def is_too_slow_soon(part: Part, seconds: float, body_bytes: int) -> bool:
        return is_too_slow(part, seconds * 100, body_bytes)

    monkeypatch.setattr(patient_protocol, "is_too_slow", is_too_slow_soon)


@asynccontextmanager
async def opening(app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> AsyncIterator[Open]:
    server, sockets = HttpServer(server_config(app, graceful_seconds=1)), bound_sockets("127.0.0.1", 0)
    serving = asyncio.create_task(server.serve(sockets))
    while not server.started:
        await asyncio.sleep(0.01)  # it says nothing when it has
    try:
        yield lambda: asyncio.open_connection(*sockets[0].getsockname())
    finally:
        server.stop()
        await serving


async def answered(stream: Stream, sent: bytes) -> bytes:
    """All that comes until the server hangs up."""
    reader, writer = stream
    writer.write(sent)
    async with asyncio.timeout(10):
        try:
            return await reader.read()
        finally:
            writer.close()


@pytest.mark.usefixtures("hasty")
async def test_what_stops_in_the_middle_is_told_408_and_hung_up_on() -> None:
    async with opening(echo) as connection:
        for sent in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\n", HEAD + b"ab"):
            assert (await answered(await connection(), sent)).startswith(b"HTTP/1.1 408 ")


@pytest.mark.usefixtures("hasty")
async def test_a_body_that_nobody_reads_is_not_waited_for_after_the_answer() -> None:
    async with opening(answer_at_once) as connection:
        said = await answered(await connection(), HEAD + b"ab")
    assert said.count(b"HTTP/1.1") == 1
    assert said.startswith(b"HTTP/1.1 404 ")


@pytest.mark.usefixtures("hasty")
async def test_empty_lines_between_requests_keep_no_connection() -> None:
    async with opening(echo) as connection:
        reader, writer = await connection()
        writer.write(HEAD + b"abcde")
        await reader.readuntil(b"abcde")
        assert (await answered((reader, writer), b"\r\n")).startswith(b"HTTP/1.1 408 ")


async def test_a_head_without_end_is_431() -> None:
    async with opening(echo) as connection:
        sent = b"GET / HTTP/1.1\r\nX-A: " + b"a" * (MOST_HEAD_BYTES + 1)
        assert (await answered(await connection(), sent)).startswith(b"HTTP/1.1 431 ")


async def test_a_large_body_in_the_same_piece_as_its_head_is_no_large_head() -> None:
    body = b"a" * (3 * MOST_HEAD_BYTES)
    head = HEAD.replace(b"Length: 5", b"Length: %d\r\nConnection: close" % len(body))
    async with opening(echo) as connection:
        assert (await answered(await connection(), head + body)).endswith(body)


async def test_requests_one_after_the_other_and_in_one_piece_are_answered() -> None:
    last = HEAD.replace(b"Length: 5", b"Length: 5\r\nConnection: close")
    async with opening(echo) as connection:
        said = await answered(await connection(), HEAD + b"abcde" + HEAD + b"fghij" + last + b"klmno")
    assert [part for part in (b"abcde", b"fghij", b"klmno") if part not in said] == []
