"""`python -m tests.bench.ingest.ours SERVERS EVENTS CLICKHOUSE_URL`: prediction_logging up to its columns.

Its own handlers, consumed as the runner has them consumed; what they ask ClickHouse it answers, but the
columns of predictions are counted and dropped.
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
from typing import Any
from uuid import uuid4

from prometheus_client import CollectorRegistry

from services.prediction_logging.app import build
from shared.addresses import Addresses
from shared.broker import make_broker, make_publish
from shared.clickhouse import ClickHouse, connect
from shared.consumer.metrics import ConsumerMetrics
from shared.consumer.ownership import Ownership
from shared.consumer.process import ProcessConsumers
from shared.events import now
from shared.files import Files
from shared.migrations import migrate
from shared.model_server import ModelServer
from shared.service import ServiceContext
from tests.bench.ingest.measured import said


class Counting(ClickHouse):
    """Answers what it is asked; the columns of predictions it takes and counts."""

    async def until(self, rows: int) -> None:
        self._left, self._done = rows, asyncio.Event()
        await self._done.wait()

    async def insert_columns(self, table: str, columns: Mapping[str, Sequence[Any]]) -> None:
        if table != "predictions":
            await super().insert_columns(table, columns)
            return
        self._left -= len(columns["prediction_id"])
        if self._left <= 0:
            self._done.set()


async def measure(servers: str, events: int, url: str) -> float:
    """CPU seconds of this process."""
    registry, ownership = CollectorRegistry(), Ownership()
    clickhouse = Counting((await connect(url))._connection)
    await migrate(clickhouse, "prediction_logging")
    broker = make_broker(servers, "bench", registry)
    addresses = Addresses(kafka_bootstrap_servers=servers, subject_key="bench")
    with tempfile.TemporaryDirectory() as folder:
        context = ServiceContext(
            addresses,
            make_publish(broker, "bench"),
            clickhouse,
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
        await clickhouse.until(events)
        used = process_time() - began
        for task in (state, *running):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(state, *running, return_exceptions=True)
        await broker.stop()
    await clickhouse.close()
    return used


if __name__ == "__main__":
    said(asyncio.run(measure(sys.argv[1], int(sys.argv[2]), sys.argv[3])), int(sys.argv[2]))
