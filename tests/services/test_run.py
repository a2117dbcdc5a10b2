"""The process that runs services says that it starts, and ends when it is told to."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
from fastapi import FastAPI, Request

from services.ending import LAST_ANSWERS_SECONDS
from services.gate import Gate, Openings
from services.run import make_server
from shared.http_conventions import HttpSettings, follow_http_conventions
from shared.loopback import bound_sockets
from shared.service import Service


async def test_before_state_is_read_a_client_of_openai_reads_why_and_when_to_come_again() -> None:
    app = FastAPI()
    app.add_middleware(Gate, openings=Openings([Service(name="model_gateway", consumes={})]))
    follow_http_conventions(app, HttpSettings(cors_origins="https://app.example.org"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://starting") as client:
        answer = await client.post("/v1/completions", headers={"origin": "https://app.example.org"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"]["message"] == answer.json()["detail"]
    assert answer.headers["access-control-allow-origin"] == "https://app.example.org"


async def test_a_long_poll_that_is_open_does_not_hold_up_the_end() -> None:
    app = FastAPI()
    asked = asyncio.Event()

    @app.get("/poll")
    async def poll() -> None:
        asked.set()
        await asyncio.sleep(60)

    server, sockets = make_server(app), bound_sockets("127.0.0.1", 0)
    port = sockets[0].getsockname()[1]
    serving = asyncio.create_task(server.serve(sockets))
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        polling = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/poll"))
        await asyncio.wait_for(asked.wait(), 10)
        since = time.monotonic()
        server.should_exit = True
        await asyncio.wait_for(serving, LAST_ANSWERS_SECONDS + 5)
        await asyncio.gather(polling, return_exceptions=True)
    assert time.monotonic() - since < LAST_ANSWERS_SECONDS + 4


@pytest.mark.parametrize(
    ("proxies", "seen"), [("", "127.0.0.1"), ("127.0.0.1", "203.0.113.9"), ("192.0.2.1", "127.0.0.1")]
)
async def test_who_asks_is_taken_from_a_proxy_that_is_named_and_from_nobody_else(
    proxies: str, seen: str
) -> None:
    app = FastAPI()

    @app.get("/who")
    async def who(request: Request) -> str:
        assert request.client is not None
        return request.client.host

    server, sockets = make_server(app, proxies=proxies), bound_sockets("127.0.0.1", 0)
    serving = asyncio.create_task(server.serve(sockets))
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/who"
    while not server.started:
        await asyncio.sleep(0)
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        assert (await client.get(url, headers={"X-Forwarded-For": "203.0.113.9"})).json() == seen
    server.stop()
    await serving
