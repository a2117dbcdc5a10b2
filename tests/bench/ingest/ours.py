"""`python -m tests.bench.ingest.ours SERVERS EVENTS`: what prediction_logging does up to its columns.

Its own handlers, consumed as the runner has them consumed; only ClickHouse's client is one that counts rows.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import process_time
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

from clickhouse_connect.driver.asyncclient import AsyncClient
from prometheus_client import CollectorRegistry

from services.prediction_logging.app import build
from shared.addresses import Addresses
from shared.broker import make_broker, make_publish
from shared.clickhouse import ClickHouse
from shared.clickhouse.client import Connection
from shared.consumer.metrics import ConsumerMetrics
from shared.consumer.ownership import Ownership
from shared.consumer.process import ProcessConsumers
from shared.events import now
from shared.files import Files
from shared.model_server import ModelServer
from shared.service import ServiceContext
from tests.bench.ingest.measured import said


class CountingClient:
    """Takes columns as ClickHouse's client does, and finds nothing."""

    def __init__(self, rows: int) -> None:
        self._left, self.done = rows, asyncio.Event()

    async def insert(self, table: str, data: Sequence[Sequence[Any]], **_: Any) -> None:
        if table == "predictions":
            self._left -= len(data[0])
            if self._left <= 0:
                self.done.set()

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None, **_: Any) -> Any:
        return SimpleNamespace(named_results=list, result_rows=[])

    async def command(self, sql: str, **_: Any) -> None: ...

    async def close(self) -> None: ...


async def measure(servers: str, events: int) -> float:
    """CPU seconds of this process."""
    client, registry, ownership = CountingClient(events), CollectorRegistry(), Ownership()

    async def open_client() -> AsyncClient:
        return cast(AsyncClient, client)

    broker = make_broker(servers, "bench", registry)
    addresses = Addresses(kafka_bootstrap_servers=servers, subject_key="bench")
    with tempfile.TemporaryDirectory() as folder:
        context = ServiceContext(
            addresses,
            make_publish(broker, "bench"),
            ClickHouse(Connection(open_client)),
            Files(f"file://{folder}", Path(folder)),
            ModelServer("http://127.0.0.1:9"),
            now,
            registry,
            Path(folder),
        )
        service = replace(build(context), name=f"bench-{uuid4().hex[:8]}")
        await broker.connect()
        consumers = ProcessConsumers(
            [service], {service.name: ownership}, broker.producer, servers, ConsumerMetrics(registry)
        )
        state = asyncio.create_task(consumers.state.run())
        await consumers.state.ready()
        began = process_time()
        running = [asyncio.create_task(consumer.run()) for consumer in consumers.others]
        await client.done.wait()
        used = process_time() - began
        for task in (state, *running):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(state, *running, return_exceptions=True)
        await broker.stop()
    return used


if __name__ == "__main__":
    said(asyncio.run(measure(sys.argv[1], int(sys.argv[2]))), int(sys.argv[2]))
