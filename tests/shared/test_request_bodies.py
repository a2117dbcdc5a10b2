"""A body is bounded in bytes and in time, however it is packed, and what is wrong with it is said."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request

from shared.problems import answer_with_problems
from shared.request_bodies import body_of
from tests.servers.http import serving

MOST = 100_000


@pytest.fixture
async def echo() -> AsyncIterator[str]:
    """A server that answers with the size of what it was sent."""
    app = FastAPI()
    answer_with_problems(app)

    @app.post("/")
    async def size(request: Request) -> int:
        return len(await body_of(request, MOST, seconds=0.3))

    async with serving(app) as url:
        yield url


async def post(url: str, body: bytes, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await http.post(url, content=body, headers=named)


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP"])
async def test_gzip_is_inflated_of_one_member_or_several(echo: str, coding: str) -> None:
    for body in (gzip.compress(b"a" * MOST), gzip.compress(b"a" * 10) + gzip.compress(b"a" * (MOST - 10))):
        assert (await post(echo, body, content_encoding=coding)).json() == MOST


async def test_a_byte_order_mark_is_no_part_of_the_body(echo: str) -> None:
    assert (await post(echo, b"\xef\xbb\xbf{}")).json() == 2
    assert (await post(echo, gzip.compress(b"\xef\xbb\xbf{}"), content_encoding="gzip")).json() == 2


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b"a" * (MOST + 1)),
        gzip.compress(b"\0" * (1 << 30)),  # a thousand to one
        gzip.compress(b"a" * MOST) + gzip.compress(b"a"),
        gzip.compress(b"") * 10_000,  # nothing, for ever
    ],
    ids=["one byte more", "a bomb", "in the second member", "members of nothing"],
)
async def test_what_inflates_to_too_much_is_a_413(echo: str, body: bytes) -> None:
    answer = await post(echo, body, content_encoding="gzip")
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        gzip.compress(b"{}")[:-1],
        gzip.compress(b"{}") + b"x",
        zlib.compress(b"{}"),
        b"\x1f\x8b" * 9,
    ],
    ids=["nothing", "plain", "cut short", "followed by something", "zlib", "a head only"],
)
async def test_gzip_that_is_none_or_stops_in_the_middle_is_a_400(echo: str, body: bytes) -> None:
    answer = await post(echo, body, content_encoding="gzip")
    assert (answer.status_code, answer.json()["title"]) == (400, "Invalid gzip")


@pytest.mark.parametrize(
    "headers",
    [{"content_encoding": "br"}, {"content_encoding": "gzip, gzip"}, {"content_type": "a/b; charset=utf-16"}],
)
async def test_another_coding_or_charset_is_a_415(echo: str, headers: dict[str, str]) -> None:
    assert (await post(echo, b"{}", **headers)).status_code == 415


async def raw(url: str, request: bytes, seconds: float = 5.0) -> tuple[bytes, bool]:
    """What comes back, and whether the server hung up afterwards."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        async with asyncio.timeout(seconds):
            head = await reader.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(1):
            await reader.read()
        return head, True
    except TimeoutError:
        return head, False
    finally:
        writer.close()


@pytest.mark.parametrize(
    "request_",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ],
    ids=["content-length lies", "chunks stop"],
)
async def test_a_body_that_stops_in_the_middle_is_answered_and_its_connection_goes(
    echo: str, request_: bytes
) -> None:
    head, hung_up = await raw(echo, request_)
    assert b" 408 " in head.split(b"\r\n")[0]
    assert hung_up


async def test_a_body_that_drips_is_cut_off_by_the_time_of_the_whole(echo: str) -> None:
    host, port = echo.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
    answer = asyncio.create_task(reader.readline())
    for _ in range(60):
        if answer.done():
            break
        writer.write(b" ")
        await asyncio.sleep(0.05)
    assert b" 408 " in await asyncio.wait_for(answer, 1)
    writer.close()


async def test_a_length_beyond_the_limit_is_refused_before_anything_is_read(echo: str) -> None:
    head, _ = await raw(echo, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n")
    assert b" 413 " in head.split(b"\r\n")[0]


async def test_who_hangs_up_in_the_middle_leaves_no_traceback(
    echo: str, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = echo.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()
    await asyncio.sleep(0.1)
    assert (await post(echo, b"{}")).json() == 2
    assert "Traceback" not in caplog.text
