"""Every process, and ClickHouse behind its proxy; faults are put on here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.chaos.content import TOPICS, WORKLOAD
from tests.bench.chaos.faults import Phase
from tests.bench.chaos.gateway import ready
from tests.bench.chaos.proxy import Mode, StoreProxy
from tests.bench.installation import (
    ClickHouseProcess,
    Killable,
    ModelServerProcess,
    ServiceProcess,
    add_workload,
    broker_over,
    environment,
    killed_at_the_end,
)
from tests.bench.progress import Recovery, Watch
from tests.servers.kafka import ApacheKafka, EmbeddedKafka

SERVICE = "prediction_logging"


@dataclass
class Stage:
    broker: EmbeddedKafka | ApacheKafka
    clickhouse: ClickHouseProcess
    proxy: StoreProxy
    services: list[ServiceProcess]
    watch: Watch
    gateway: ServiceProcess | None
    models: ModelServerProcess
    kills: int = 0
    store_outages: int = 0

    async def play(self, phase: Phase) -> list[Recovery]:
        """The faults of a phase; what is killed is started again. Gives the recoveries that begin by it."""
        recoveries: list[Recovery] = []
        if phase.outage:
            self.store_outages += 1
            self.proxy.mode, self.proxy.partition = Mode(phase.outage), self.store_outages % 6
            await asyncio.sleep(phase.outage_seconds / 2)
        victims = [self.targets[name] for name in phase.kills]
        for victim in victims:
            await asyncio.to_thread(victim.kill)
            self.kills += 1
        if victims:
            await asyncio.sleep(phase.down_seconds)
        started_again = time.monotonic()
        await asyncio.gather(*(asyncio.to_thread(victim.start) for victim in victims))
        if phase.outage:
            await asyncio.sleep(phase.outage_seconds / 2)
            self.proxy.mode = Mode.OPEN
            recoveries.append(self.watch.begin(f"outage: {phase.outage}", time.monotonic()))
        else:
            recoveries.append(self.watch.begin(f"kill: {', '.join(phase.kills)}", started_again))
        return recoveries

    async def restart_services(self) -> None:
        """The healthy restart at the end: not one of the kills."""
        self.proxy.mode = Mode.OPEN
        for service in self.every_service:
            await asyncio.to_thread(service.stop)
            service.start()
        for service in self.every_service:
            await asyncio.to_thread(service.wait_until_ready)

    @property
    def every_service(self) -> list[ServiceProcess]:
        return [*self.services, *([] if self.gateway is None else [self.gateway])]

    @property
    def targets(self) -> dict[str, Killable]:
        """What may be killed."""
        named: dict[str, Killable] = {"broker": self.broker, "clickhouse": self.clickhouse}
        named |= {f"{one.name} {number}": one for number, one in enumerate(self.services, 1)}
        if self.gateway is not None:
            named |= {self.gateway.name: self.gateway, "model server": self.models}
        return named


@asynccontextmanager
async def staged(folder: Path, broker_kind: str, seed: int, *, with_gateway: bool) -> AsyncIterator[Stage]:
    """All of it, ready; at the end it is killed."""
    broker = broker_over(folder / "kafka", broker_kind)
    clickhouse = ClickHouseProcess(folder / "clickhouse")
    async with AsyncExitStack() as ending:
        ending.enter_context(killed_at_the_end(broker, clickhouse))
        await asyncio.gather(asyncio.to_thread(broker.start), asyncio.to_thread(clickhouse.start))
        parts = urlsplit(clickhouse.url)
        proxy = StoreProxy(f"http://127.0.0.1:{clickhouse.port}", seed)
        proxy.start()
        behind_proxy = parts._replace(
            netloc=f"{parts.username}:{parts.password}@127.0.0.1:{proxy.port}"
        ).geturl()
        await asyncio.to_thread(add_workload, broker.address, WORKLOAD)
        models = ModelServerProcess(folder / "models")
        addresses = environment(folder, broker.address, behind_proxy, models.url)
        services = [ServiceProcess(SERVICE, folder / f"service-{n}", addresses) for n in (1, 2)]
        ending.enter_context(killed_at_the_end(*services))
        for service in services:
            service.start()
        for service in services:
            await asyncio.to_thread(service.wait_until_ready)
        gateway = ServiceProcess("model_gateway", folder / "gateway", addresses) if with_gateway else None
        if gateway is not None:
            ending.enter_context(killed_at_the_end(models, gateway))
            await ready(gateway, models, broker.address, folder)
        watch = Watch(broker.address, SERVICE, TOPICS)
        watch.start()
        ending.callback(watch.stop)
        yield Stage(broker, clickhouse, proxy, services, watch, gateway, models)
