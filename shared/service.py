"""What a service is made of, so that one runner can run any of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry

from shared.access.admission import Admission
from shared.access.limit_settings import LimitSettings
from shared.access.limiter import RequestLimits
from shared.addresses import Addresses
from shared.broker import Publish
from shared.clickhouse import ClickHouse
from shared.consumer import Batch, Handler, Sample
from shared.events.envelope import Event, now
from shared.files import Files
from shared.kafka import Kafka
from shared.model_server import ModelServer
from shared.producer import Producer
from shared.projections import Workloads

Clock = Callable[[], datetime]
Server = Literal["Kafka", "ClickHouse", "model server"]


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
    owns: Callable[[str], bool] = lambda workload: True
    """Whether this process is assigned the Kafka partition of that workload on the service's lead topic, the
    first it consumes that is keyed by workload. One process is at a time, except at a hand-over."""
    on_ownership_change: Callable[[Callable[[], None]], None] = lambda callback: None
    """Registers what is to be called, on the event loop, whenever `owns` may answer otherwise."""
    producer: Producer = field(default_factory=lambda: Producer({}, lambda topic, count: None))
    """Publishes records that are made already: many at once, or from a thread. Connects at its first use."""
    kafka: Kafka = field(default_factory=lambda: Kafka(""))
    """For what else is asked of Kafka: how far consumers are, what was set aside."""
    admission: Admission = field(default_factory=lambda: Admission(now, Path(), beyond_loopback=False))
    """Who may come in, for all services of the process."""
    limits: RequestLimits = field(default_factory=lambda: RequestLimits(LimitSettings(), CollectorRegistry()))
    """How much may be asked, of all services of the process together."""


@dataclass(frozen=True)
class Service:
    """A built service: what it consumes, its HTTP routes, and what runs beside."""

    name: str
    consumes: Mapping[type[Event], Handler | Batch | Sample]
    workloads: Workloads | None = None
    """The workloads it knows: a record of another one waits a little until it is known, then is set aside."""
    consumes_from_now: bool = False
    """Live watchers begin with what comes next; everybody else begins with the oldest event."""
    routers: Sequence[APIRouter] = ()
    mount: Callable[[FastAPI], None] | None = None
    """For a service whose HTTP is more than routes (the console's pages)."""
    answers_before_ready: bool = False
    """Whether its routes answer from what it kept, before any state has been read in this process. All others
    answer 503 until then: "no such workload" would make clients throw away what they hold."""
    stands_on: Collection[Server] = ("Kafka", "ClickHouse")
    """What its HTTP cannot do without: it is not ready while one of these is away. What only waits meanwhile,
    and loses nothing, is none of them."""
    start: Callable[[], Awaitable[None]] | None = None
    """Runs once its tables are migrated and all state has been read, before other events are consumed."""
    background: Sequence[Callable[[], Awaitable[None]]] = field(default_factory=tuple)
    """Run until they are cancelled; one that ends by an exception is started again after a pause."""
    stop: Callable[[], Awaitable[None]] | None = None
    """Runs when HTTP has stopped, while background work still goes on and events can still be published.
    It is cut off after `services.ending.STOP_SECONDS`."""
