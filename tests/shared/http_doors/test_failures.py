"""A fault of ours is one line with a reference, and one traceback of each kind in a minute."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import httpx
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from shared.http_doors.failures import Failures
from shared.http_doors.tracebacks import MOST_KINDS, SECONDS, OncePerMinute, SeenKinds


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.addFilter(OncePerMinute())
    logging.getLogger().addHandler(handler)
    yield written
    logging.getLogger().removeHandler(handler)


async def fails(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/gone":
        raise ClientDisconnect
    if scope["path"] == "/half":
        await send({"type": "http.response.start", "status": 200, "headers": []})
    raise RuntimeError("the password is 123")


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(Failures(fails)), base_url="http://localhost")


async def test_the_answer_quotes_nothing_but_the_reference_that_the_log_has(log: io.StringIO) -> None:
    async with client() as http:
        answer = await http.get("/broken")
    assert answer.status_code == 500
    assert "123" not in answer.text
    assert f"GET '/broken' failed: RuntimeError; reference {answer.json()['reference']}" in log.getvalue()


async def test_a_thousand_failures_of_one_kind_are_one_traceback(log: io.StringIO) -> None:
    async with client() as http:
        for _ in range(1000):
            await http.get("/broken")
    assert log.getvalue().count("Traceback") == 1
    assert log.getvalue().count("reference") == 1000


async def test_a_path_cannot_write_lines_of_its_own_nor_long_ones(log: io.StringIO) -> None:
    async with client() as http:
        await http.get("/a%0aERROR%20all%20is%20lost" + "a" * 5000)
    first, *_ = log.getvalue().splitlines()
    assert "reference" in first
    assert len(first) < 400


async def test_who_has_gone_is_no_failure(log: io.StringIO) -> None:
    async with client() as http:
        with pytest.raises(AssertionError):  # httpx's own: nobody has answered
            await http.get("/gone")
    assert log.getvalue() == ""


async def test_an_answer_that_has_begun_gets_no_second_one(log: io.StringIO) -> None:
    sent = []

    async def send(message: object) -> None:
        sent.append(message)

    await Failures(fails)({"type": "http", "method": "GET", "path": "/half"}, lambda: None, send)  # type: ignore[arg-type,return-value]  # nothing is received or sent for real
    assert len(sent) == 1
    assert "reference" in log.getvalue()


def test_a_kind_is_new_again_after_a_minute() -> None:
    seen, kind = SeenKinds(), ("RuntimeError", "a.py", 7)
    assert seen.is_new(kind, 0.0)
    assert not seen.is_new(kind, SECONDS - 1)
    assert seen.is_new(("RuntimeError", "a.py", 8), 1.0)
    assert seen.is_new(kind, SECONDS)


def test_of_more_kinds_than_a_program_has_no_traceback_is_written() -> None:
    seen = SeenKinds()
    assert sum(seen.is_new(("E", "a.py", line), 0.0) for line in range(10_000)) == MOST_KINDS
    assert seen.is_new(("E", "a.py", 1), SECONDS)
