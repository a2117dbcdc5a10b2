"""The services of a process and what they stand on, made in one place and torn down in reverse."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from clickhouse_connect.driver.exceptions import ClickHouseError
from prometheus_client import CollectorRegistry

from services.background import WaitsFor, keep_running, until_it_answers
from services.checks import Checks, look_at_kafka, looks_at
from services.ending import CLOSE_SECONDS, CONSUMERS_END_SECONDS, STOP_SECONDS, in_time
from services.garbage import collect_seldom
from services.kafka_acls import AclCheck
from services.readiness import Readiness
from shared.access.admission import Admission
from shared.access.audit import Audit
from shared.access.limiter import RequestLimits
from shared.addresses import Addresses
from shared.broker import make_broker, make_publish
from shared.clickhouse import ClickHouse, clickhouse_at
from shared.consumer.metrics import ConsumerMetrics
from shared.consumer.ownership import Ownership
from shared.consumer.process import ProcessConsumers
from shared.consumer.settings import ConsumerSettings
from shared.events import AccessChanged, now
from shared.files import Files
from shared.flow import EVERY_PROCESS_CONSUMES, EVERY_PROCESS_PRODUCES, FLOW
from shared.kafka import Kafka, KafkaSecurity
from shared.migrations import migrate
from shared.model_server import ModelServer
from shared.outbox import Delivery, OutboxSettings, orphaned_outboxes, own_outbox
from shared.service import Service, ServiceContext
from shared.topics import declare_now, topics_of

ACLS = "Kafka ACLs"
AUDIT_SECONDS = 2.0
"""For what is still to be published at the end; what is left is the next process's."""
AUDIT_OUTBOX = OutboxSettings(segment_bytes=1 << 20, most_bytes=256 << 20)

log = logging.getLogger(__name__)


def build(name: str, context: ServiceContext) -> Service:
    """The service of this name, built by its `app.build`."""
    module = importlib.import_module(f"services.{name}.app")
    service: Service = module.build(context)
    return service


class Stack:
    """Made and not started. `start` may take for ever, where something is not there; `stop` never does."""

    def __init__(
        self,
        names: Sequence[str],
        addresses: Addresses,
        registry: CollectorRegistry,
        admission: Admission,
        limits: RequestLimits,
    ) -> None:
        self._names, self._addresses, self._registry = names, addresses, registry
        self._admission, self._limits = admission, limits
        self._ownerships = {name: Ownership() for name in names}
        self._consuming: list[asyncio.Task[None]] = []
        self._background: list[asyncio.Task[None]] = []
        self._kafka = Kafka(addresses.kafka_bootstrap_servers, KafkaSecurity())
        self._acl_check = AclCheck(self._kafka, names)
        self._broker = make_broker(self._kafka, "+".join(names), registry)
        self._clickhouse: ClickHouse = clickhouse_at(addresses.clickhouse_url)
        self._models = ModelServer(addresses.models_url)
        self._files = Files(
            addresses.files_uri, addresses.state_folder / "cache", addresses.models_files_folder
        )
        audited = addresses.state_folder / "audit"
        outbox = own_outbox(audited, AUDIT_OUTBOX)
        orphans = partial(orphaned_outboxes, audited, AUDIT_OUTBOX)
        self._audit_delivery = Delivery(outbox, self._broker.producer.publish_and_wait, orphans)
        self.audit = Audit(outbox, "+".join(names), now, registry)
        self.services = [build(name, self._context(name)) for name in names]

    def _context(self, name: str) -> ServiceContext:
        folder = self._addresses.state_folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return ServiceContext(
            self._addresses,
            make_publish(self._broker, name),
            self._clickhouse,
            self._files,
            self._models,
            now,
            self._registry,
            folder,
            self._ownerships[name].owns,
            self._ownerships[name].on_change,
            self._broker.producer,
            self._kafka,
            self._admission,
            self._limits,
        )

    def checks(self, readiness: Readiness) -> Checks:
        """Of everything that one of the services stands on."""
        servers = {server for service in self.services for server in service.stands_on}
        looks = looks_at(servers, self._kafka, self._clickhouse, self._models)
        looks[ACLS] = partial(asyncio.to_thread, self._acl_check.check)
        return Checks(readiness, looks, now, only_named=() if "Kafka" in servers else (ACLS,))

    async def start(self, on_state_read: Callable[[Service], None], waits_for: WaitsFor) -> None:
        """Topics, tables, state, then events and background work; returns when all of it runs.

        `on_state_read` is told of each service that knows what it must to answer, `waits_for` what is waited
        for, and why.
        """
        replication = self._addresses.kafka_replication
        kinds = {kind for name in self._names for kind in FLOW[name].consumes | FLOW[name].produces}
        kinds |= EVERY_PROCESS_CONSUMES | EVERY_PROCESS_PRODUCES
        await until_it_answers(
            "Kafka",
            partial(asyncio.to_thread, declare_now, topics_of(kinds), self._kafka, replication),
            waits_for,
        )
        await until_it_answers(ACLS, partial(asyncio.to_thread, self._acl_check.check), waits_for)
        await until_it_answers("ClickHouse", self._migrate, waits_for)
        door = Service("door", {AccessChanged: self._admission.on_access_changed})
        consumers = ProcessConsumers(
            [door, *self.services],
            self._ownerships,
            self._broker.producer,
            self._kafka,
            ConsumerMetrics(self._registry),
            ConsumerSettings(),
        )
        waits_for("its state", "it is being read from Kafka")
        await self._broker.connect()
        self._consuming.append(_kept_running(consumers.state.name, consumers.state.run))
        await consumers.state.ready()
        await self._admission.completed()
        confirming = partial(self._admission.confirm_for_ever, look_at_kafka(self._kafka))
        at_the_door = (confirming, self.audit.tell_for_ever, self._audit_delivery.run_for_ever)
        self._background += [_kept_running("door", work) for work in at_the_door]
        for service in self.services:
            if service.start is not None:
                await until_it_answers("ClickHouse", partial(tables_may_be_away, service.start), waits_for)
            on_state_read(service)
        collect_seldom()
        waits_for("its share of events", "its consumers are joining")
        for consumer in consumers.others:
            self._consuming.append(_kept_running(consumer.name, consumer.run))
        await asyncio.gather(*(consumer.ready() for consumer in consumers.others))
        for service in self.services:
            for work in service.background:
                self._background.append(_kept_running(service.name, work))
        log.info("ready: %s", ", ".join(self._names))

    async def _migrate(self) -> None:
        for service in self.services:
            await tables_may_be_away(partial(migrate, self._clickhouse, service.name))

    async def stop(self) -> None:
        """HTTP has stopped. Consumers end while services do what they must at their end; then all closes."""
        own = [in_time(f"{one.name}: its end", one.stop(), STOP_SECONDS) for one in self.services if one.stop]
        await self.audit.tell()
        own.append(in_time("the audit log", self._audit_delivery.drain(AUDIT_SECONDS), STOP_SECONDS))
        await asyncio.gather(*own, in_time("consuming", _cancelled(self._consuming), CONSUMERS_END_SECONDS))
        await in_time("background work", _cancelled(self._background), CLOSE_SECONDS)
        await in_time("publishing", self._broker.stop(), CLOSE_SECONDS)
        await in_time("the model server's client", self._models.close(), CLOSE_SECONDS)
        await in_time("ClickHouse's client", self._clickhouse.close(), CLOSE_SECONDS)


async def tables_may_be_away(work: Callable[[], Awaitable[None]]) -> None:
    """Raises TimeoutError if ClickHouse went away meanwhile; what it refuses is a fault of ours."""
    try:
        await work()
    except (OSError, ClickHouseError) as away:
        if getattr(away, "code", None) is not None:
            raise
        raise TimeoutError(str(away) or type(away).__name__) from away


def _kept_running(name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    return asyncio.create_task(keep_running(name, work), name=name)


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
