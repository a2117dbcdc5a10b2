"""What a service is made of, so that one runner can run any of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry

from shared.addresses import Addresses
from shared.broker import Publish
from shared.clickhouse import ClickHouse
from shared.consumer import Batch, Handler
from shared.events.envelope import Event
from shared.files import Files
from shared.model_server import ModelServer

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class ServiceContext:
    """What the runner gives a service to build itself from. Nothing here belongs to one service alone."""

    addresses: Addresses
    publish: Publish
    """Publishes events in this service's name."""
    clickhouse: ClickHouse
    files: Files
    models: ModelServer
    clock: Clock
    registry: CollectorRegistry
    state_folder: Path
    """This service's own scratch folder."""


@dataclass(frozen=True)
class Service:
    """A built service: what it consumes, its HTTP routes, and what runs beside."""

    name: str
    consumes: Mapping[type[Event], Handler | Batch]
    consumes_from_now: bool = False
    """Live watchers begin with what comes next; everybody else begins with the oldest event."""
    routers: Sequence[APIRouter] = ()
    mount: Callable[[FastAPI], None] | None = None
    """For a service whose HTTP is more than routes (the console's pages)."""
    start: Callable[[], Awaitable[None]] | None = None
    """Runs once its tables are migrated and all state has been read, before other events are consumed."""
    background: Sequence[Callable[[], Awaitable[None]]] = field(default_factory=tuple)
    """Run until they are cancelled; one that ends by an exception is started again after a pause."""
