"""`python -m tests.bench.ingest.ours SERVERS EVENTS CLICKHOUSE_URL`: prediction_logging up to its columns.

Consumed as the runner has it consumed, read as the service has it read; the handler makes the columns and
drops them. With a last argument `handlers` it is the service's own handlers, which find conflicts and flags
besides; what they ask ClickHouse it answers, but the columns of predictions are counted and dropped.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import process_time
from typing import Any
from uuid import uuid4

import uvloop
from prometheus_client import CollectorRegistry

from services.garbage import collect_seldom
from services.prediction_logging.app import build
from services.prediction_logging.columns import of_predictions
from shared.addresses import Addresses
from shared.broker import make_broker, make_publish
from shared.clickhouse import ClickHouse, connect
from shared.consumer import Batch, ConsumerRecord
from shared.consumer.metrics import ConsumerMetrics
from shared.consumer.ownership import Ownership
from shared.consumer.process import ProcessConsumers
from shared.consumer.settings import ConsumerSettings
from shared.events import PredictionLogged, now
from shared.files import Files
from shared.kafka import Kafka
from shared.migrations import migrate
from shared.model_server import ModelServer
from shared.service import ServiceContext
from tests.bench.ingest.measured import said


@dataclass
class Columns:
    """Takes columns until there were so many rows."""

    left: int
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self.left -= len(columns["prediction_id"])
        if self.left <= 0:
            self.done.set()

    async def take_events(self, consumed: list[ConsumerRecord[PredictionLogged]]) -> None:
        self.take(of_predictions(consumed, 0))


class Counting(ClickHouse):
    """Answers what it is asked; the columns of predictions it gives away."""

    def __init__(self, connected: ClickHouse, columns: Columns) -> None:
        super().__init__(connected._connection)
        self._columns = columns

    async def insert_columns(self, table: str, columns: Mapping[str, Sequence[Any]]) -> None:
        if table == "predictions":
            self._columns.take(columns)
        else:
            await super().insert_columns(table, columns)


async def measure(servers: str, events: int, url: str, *, with_handlers: bool) -> float:
    """CPU seconds of this process."""
    registry, ownership, columns = CollectorRegistry(), Ownership(), Columns(events)
    clickhouse = Counting(await connect(url), columns)
    await migrate(clickhouse, "prediction_logging")
    broker = make_broker(Kafka(servers), "bench", registry)
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
        if not with_handlers:
            batch = service.consumes[PredictionLogged]
            assert isinstance(batch, Batch)
            consumes = dict(service.consumes)
            consumes[PredictionLogged] = replace(batch, handler=columns.take_events)
            service = replace(service, consumes=consumes)
        collect_seldom()
        began = process_time()
        await broker.connect()
        consumers = ProcessConsumers(
            [service],
            {service.name: ownership},
            broker.producer,
            Kafka(servers),
            ConsumerMetrics(registry),
            ConsumerSettings(),
        )
        state = asyncio.create_task(consumers.state.run())
        await consumers.state.ready()
        running = [asyncio.create_task(consumer.run()) for consumer in consumers.others]
        await columns.done.wait()
        used = process_time() - began
        for task in (state, *running):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(state, *running, return_exceptions=True)
        await broker.stop()
    await clickhouse.close()
    return used


if __name__ == "__main__":
    servers, events, url, *handlers = sys.argv[1:]
    said(uvloop.run(measure(servers, int(events), url, with_handlers=bool(handlers))), int(events))
