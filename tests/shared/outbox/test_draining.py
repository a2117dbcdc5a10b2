"""Draining an outbox leaves the loop that answers alone, over the real client and broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from shared.broker import Broker, make_broker
from shared.events import PredictionLogged
from shared.kafka import Kafka
from shared.outbox import Delivery
from shared.topics import declare
from tests.servers.kafka import EmbeddedKafka
from tests.shared.outbox.records import outbox, predicted
from tests.shared.outbox.test_delivery import running, until

RECORDS = 8_000
"""What a gateway answers in some minutes without Kafka."""


@pytest.fixture
async def kafka(tmp_path: Path) -> AsyncIterator[EmbeddedKafka]:
    kafka = EmbeddedKafka(tmp_path / "kafka")
    await asyncio.to_thread(kafka.start)
    await asyncio.to_thread(declare, [PredictionLogged.topic], Kafka(kafka.address), 1, 30)
    yield kafka
    if kafka.is_running:
        kafka.stop()


@pytest.fixture
async def broker(kafka: EmbeddedKafka) -> AsyncIterator[Broker]:
    broker = make_broker(Kafka(kafka.address), "outbox-test", CollectorRegistry())
    await broker.start()
    yield broker
    await broker.stop()


class Hops:
    """How long the loop's turns take, one after the other."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def run(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            self.worst, last = max(self.worst, now - last), now


async def test_no_hop_of_the_loop_waits_for_an_outbox_that_drains(
    kafka: EmbeddedKafka, broker: Broker, tmp_path: Path
) -> None:
    with outbox(tmp_path / "state") as opened:
        for number in range(RECORDS):
            await opened.append([predicted(number)])
        quiet, draining = Hops(), Hops()
        watching = asyncio.create_task(quiet.run())
        await asyncio.sleep(1)
        watching.cancel()
        watching = asyncio.create_task(draining.run())
        async with running(Delivery(opened, broker.producer.publish_and_wait)):
            await until(lambda: opened.backlog_bytes == 0, 60)
        watching.cancel()
    assert draining.worst < max(10 * quiet.worst, 0.1), "one hop waited 895 ms when the loop itself delivered"
