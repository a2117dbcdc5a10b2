"""Runs one or more services in one process: one broker connection, one HTTP server, one event loop."""

from __future__ import annotations

import asyncio
import importlib
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import uvicorn
from confluent_kafka import KafkaException
from fastapi import APIRouter, FastAPI, Response
from faststream.confluent import KafkaBroker
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from shared.addresses import Addresses
from shared.backoff import pause_seconds
from shared.broker import make_broker, make_publish
from shared.clickhouse import ClickHouse, clickhouse_at
from shared.consumer.metrics import ConsumerMetrics
from shared.consumer.ownership import Ownership
from shared.consumer.process import ProcessConsumers
from shared.events.envelope import now
from shared.files import Files
from shared.flow import FLOW
from shared.http_server import HttpServer
from shared.loopback import bound_sockets
from shared.migrations import migrate
from shared.model_server import ModelServer
from shared.problems import Problem, answer_with_problems
from shared.service import Service, ServiceContext
from shared.topics import declare, topics_of

KEEP_ALIVE_SECONDS = 75  # longer than clients keep a connection: who closes first must not be us
LAST_ANSWERS_SECONDS = 3  # what is open after SIGTERM, a long poll or a page, may end by then
T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass
class Readiness:
    """Whether this process has read its state and consumes events."""

    is_ready: bool = False


async def run(names: Sequence[str], addresses: Addresses, host: str, port: int) -> None:
    """Runs the named services until SIGTERM or SIGINT; `/health/ready` says when they consume events."""
    readiness = Readiness()
    registry = CollectorRegistry()
    app = FastAPI(title="tuneloop", description=", ".join(names))
    answer_with_problems(app)
    app.include_router(operations(readiness, registry))
    sockets = bound_sockets(host, port)
    async with _Stack(names, addresses, registry) as stack:
        for service in stack.services:
            for router in service.routers:
                app.include_router(router)
        for service in stack.services:
            if service.mount is not None:
                service.mount(app)
        server = make_server(app)
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        serving = asyncio.create_task(server.serve(sockets))
        starting = asyncio.create_task(stack.start(readiness))
        stop = asyncio.create_task(stopping.wait())
        done, _ = await asyncio.wait({serving, stop, starting}, return_when=asyncio.FIRST_COMPLETED)
        if starting in done and starting.exception() is None:
            done, _ = await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
        starting.cancel()
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)
        for task in done:
            task.result()


def make_server(app: FastAPI) -> HttpServer:
    """Told to stop it answers what it is asked already, and waits for nobody longer than a few seconds."""
    return HttpServer(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=LAST_ANSWERS_SECONDS,
        )
    )


def operations(readiness: Readiness, registry: CollectorRegistry) -> APIRouter:
    """What an orchestrator asks: alive, ready, metrics."""
    router = APIRouter(tags=["operations"])

    @router.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/health/ready")
    async def ready() -> dict[str, str]:
        if not readiness.is_ready:
            raise Problem(
                503, "Starting", "Reading its state; try again in a moment.", headers={"Retry-After": "1"}
            )
        return {"status": "ready"}

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router


def build(name: str, context: ServiceContext) -> Service:
    """The service of this name, built by its `app.build`."""
    module = importlib.import_module(f"services.{name}.app")
    service: Service = module.build(context)
    return service


class _Stack:
    """The services and what they stand on, made in one place and torn down in reverse."""

    def __init__(self, names: Sequence[str], addresses: Addresses, registry: CollectorRegistry) -> None:
        self._names, self._addresses, self._registry = names, addresses, registry
        self.services: list[Service] = []
        self._ownerships: dict[str, Ownership] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> _Stack:
        addresses = self._addresses
        client_id = "+".join(self._names)
        self._broker: KafkaBroker = make_broker(addresses.kafka_bootstrap_servers, client_id, self._registry)
        self._clickhouse: ClickHouse = clickhouse_at(addresses.clickhouse_url)
        self._models = ModelServer(addresses.models_url)
        files = Files(addresses.files_uri, addresses.state_folder / "cache")
        for name in self._names:
            folder = addresses.state_folder / name
            folder.mkdir(parents=True, exist_ok=True)
            publish = make_publish(self._broker, name)
            ownership = self._ownerships[name] = Ownership()
            context = ServiceContext(
                addresses,
                publish,
                self._clickhouse,
                files,
                self._models,
                now,
                self._registry,
                folder,
                ownership.owns,
                ownership.on_change,
            )
            self.services.append(build(name, context))
        return self

    async def start(self, readiness: Readiness) -> None:
        """Topics, tables, state, then events and background work; returns when all of it runs."""
        kinds = {kind for name in self._names for kind in FLOW[name].consumes | FLOW[name].produces}
        servers = self._addresses.kafka_bootstrap_servers
        await _until_kafka_answers(
            partial(declare, topics_of(kinds), servers, self._addresses.kafka_replication, 0)
        )
        for service in self.services:
            await migrate(self._clickhouse, service.name)
        consumers = ProcessConsumers(
            self.services, self._ownerships, self._broker, servers, ConsumerMetrics(self._registry)
        )
        await self._broker.connect()
        self._keep_running(consumers.state.name, consumers.state.run)
        await consumers.state.ready()
        for service in self.services:
            if service.start is not None:
                await service.start()
        for consumer in consumers.others:
            self._keep_running(consumer.name, consumer.run)
        await asyncio.gather(*(consumer.ready() for consumer in consumers.others))
        for service in self.services:
            for work in service.background:
                self._keep_running(service.name, work)
        readiness.is_ready = True
        log.info("ready: %s", ", ".join(self._names))

    def _keep_running(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(_keep_running(name, work), name=name))

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._broker.stop()
        await self._models.close()
        await self._clickhouse.close()


async def _until_kafka_answers(work: Callable[[], T]) -> T:
    """What `work` gives. Tries are short: they block a thread, and a process must stop when told."""
    while True:
        try:
            return await asyncio.to_thread(work)
        except (TimeoutError, KafkaException) as error:
            log.warning("waiting for Kafka: %s", error)
            await asyncio.sleep(1)


async def _keep_running(name: str, work: Callable[[], Awaitable[None]]) -> None:
    failures = 0
    while True:
        try:
            await work()
        except Exception:
            failures += 1
            pause = pause_seconds(failures)
            log.warning(
                "%s: background work failed; again in %.1f s", name, pause, exc_info=failures in (1, 10)
            )
            await asyncio.sleep(pause)
        else:
            return
