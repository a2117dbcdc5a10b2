"""Services of ours on a real port, in the test's own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from shared.access.admission import Admission
from shared.access.door import Door
from shared.events import AccessChanged, now
from shared.http_conventions import TRACES_ONLY, HttpSettings, follow_http_conventions, guard
from shared.problems import answer_with_problems
from shared.service import Service
from tests.servers.model import free_port


def with_door(app: FastAPI, *events: AccessChanged) -> FastAPI:
    """After all its routes, as the runner has it: a laptop's door, or one that wants these keys."""
    admission = Admission(now, Path("nowhere"), beyond_loopback=False, confirmed_at=now())
    for event in events:
        admission.keys.apply(event)
    app.add_middleware(Door, admission=admission)
    return app


def app_of(service: Service, *events: AccessChanged) -> FastAPI:
    """Its HTTP, as the runner puts it together."""
    app = FastAPI(telemetry=TRACES_ONLY)
    answer_with_problems(app)
    for router in service.routers:
        app.include_router(router)
    with_door(app, *events)
    follow_http_conventions(app, HttpSettings())
    guard(app, HttpSettings())
    return app


@asynccontextmanager
async def serving(app: FastAPI, port: int | None = None) -> AsyncIterator[str]:
    """Gives the address once it answers; at the end it is gone, and whoever still waits is cut off."""
    port = port or free_port()
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical", timeout_graceful_shutdown=0)
    )
    running = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running
