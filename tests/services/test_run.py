"""The process that runs services ends when it is told to."""

from __future__ import annotations

import asyncio
import time

import httpx
from fastapi import FastAPI

from services.ending import LAST_ANSWERS_SECONDS
from services.run import make_server
from shared.loopback import bound_sockets


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
