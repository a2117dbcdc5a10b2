"""Runs one or more services in one process: one broker connection, one HTTP server, one event loop."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from services.api_page import POLICY, page_of
from services.checks import Checks
from services.ending import LAST_ANSWERS_SECONDS, THREADS_SECONDS, end_at_the_latest, in_time
from services.gate import Gate, Openings
from services.readiness import Readiness
from services.stack import Stack
from shared import VERSION
from shared.access.admission import KNOWN_KEYS, Admission
from shared.access.api_key import digest_of
from shared.access.audit import Auditor
from shared.access.door import Door, may
from shared.access.host_key import ensure_host_key, host_key_file
from shared.access.limit_settings import LimitSettings
from shared.access.limiter import Limiter, RequestLimits
from shared.access.roles import Verb
from shared.addresses import Addresses
from shared.events.envelope import now
from shared.http_conventions import TRACES_ONLY, HttpSettings, follow_http_conventions, guard
from shared.http_server import HttpServer, server_config
from shared.http_tls import tls_beyond_loopback
from shared.loopback import bound_sockets, is_loopback
from shared.problems import answer_with_problems, come_again

KEEPER = "workloads"
"""The service that makes keys: on its host lies one that makes the first."""


async def run(names: Sequence[str], addresses: Addresses, hosts: Sequence[str], port: int) -> None:
    """Runs the named services until SIGTERM or SIGINT; `/health/ready` says when they can be asked."""
    registry = CollectorRegistry()
    sockets = bound_sockets(hosts[0], port, *hosts[1:])
    http = HttpSettings()
    beyond_loopback = not is_loopback(sockets)
    tls = tls_beyond_loopback(http) if beyond_loopback else None
    stopping = asyncio.Event()

    def stop() -> None:
        if not stopping.is_set():
            end_at_the_latest()
            stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    admission = Admission.restored(
        now,
        addresses.state_folder / KNOWN_KEYS,
        beyond_loopback=beyond_loopback or http.is_for_others,
        session_key=addresses.session_key,
    )
    if KEEPER in names or addresses.host_key_file:
        host_key = Path(addresses.host_key_file or host_key_file(addresses.state_folder))
        admission.host_key_digest = digest_of(ensure_host_key(host_key))
    limits = RequestLimits(LimitSettings(), registry)
    stack = Stack(names, addresses, registry, admission, limits)
    openings = Openings(stack.services)
    readiness = Readiness(answers_at_once=openings.all_open, now=now())
    app = _app(stack, openings, readiness, registry, admission, limits)
    server = make_server(app, tls, http.proxies)

    async def start() -> None:
        await stack.start(openings.open, lambda what, why: readiness.waits_for(what, why, now()))
        readiness.started()

    serving = asyncio.create_task(server.serve(sockets))
    starting = asyncio.create_task(start())
    told = asyncio.create_task(stopping.wait())
    try:
        done, _ = await asyncio.wait({serving, told, starting}, return_when=asyncio.FIRST_COMPLETED)
        if starting in done and starting.exception() is None:
            done, _ = await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop()
        starting.cancel()
        server.stop()
        await in_time("HTTP", serving, LAST_ANSWERS_SECONDS + 2)
        await stack.stop()
    for task in done:
        task.result()
    end_at_the_latest(THREADS_SECONDS, code=0)


def _app(
    stack: Stack,
    openings: Openings,
    readiness: Readiness,
    registry: CollectorRegistry,
    admission: Admission,
    limits: RequestLimits,
) -> FastAPI:
    names = [service.name for service in stack.services]
    app = FastAPI(
        title="tuneloop",
        description=", ".join(names),
        version=VERSION,
        telemetry=TRACES_ONLY,
        docs_url=None,
        redoc_url=None,
    )
    answer_with_problems(app)
    app.include_router(operations(readiness, stack.checks(readiness), registry))
    app.include_router(documentation(app))
    for service in stack.services:
        for router in service.routers:
            app.include_router(router)
    for service in stack.services:
        if service.mount is not None:
            service.mount(app)
    app.add_middleware(Limiter, limits=limits)
    app.add_middleware(Door, admission=admission)
    app.add_middleware(Auditor, audit=stack.audit)
    app.add_middleware(Gate, openings=openings)
    settings = HttpSettings()
    follow_http_conventions(app, settings)
    guard(app, settings)
    return app


def make_server(app: FastAPI, tls: ssl.SSLContext | None = None, proxies: str = "") -> HttpServer:
    """Told to stop it answers what it is asked already, and waits for nobody longer than a few seconds."""
    return HttpServer(server_config(app, LAST_ANSWERS_SECONDS, proxies), tls)


def operations(readiness: Readiness, checks: Checks, registry: CollectorRegistry) -> APIRouter:
    """What an orchestrator asks: alive, ready, metrics."""
    router = APIRouter(tags=["operations"])

    @router.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/health/ready")
    async def ready() -> dict[str, Any]:
        await checks.look()
        missing = readiness.missing()
        listed = [one.as_json() for one in missing]
        if not readiness.is_ready(now()):
            said = f"Missing: {'; '.join(map(str, missing))}."
            raise come_again("Not ready", said, missing=listed)
        return {"status": "ready", "missing": listed}

    @router.get("/metrics", response_class=PlainTextResponse, dependencies=[may(Verb.READ, of_all=True)])
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router


def documentation(app: FastAPI) -> APIRouter:
    """The page of the app's API."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def docs() -> HTMLResponse:
        return HTMLResponse(page_of(app.openapi()), headers={"content-security-policy": POLICY})

    return router
