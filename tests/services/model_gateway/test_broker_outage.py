"""Answers recorded while Kafka was away reach it when it is back, over the real client and broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer
from faststream.confluent import KafkaBroker
from prometheus_client import CollectorRegistry

from services.model_gateway.delivery import Delivery
from services.model_gateway.outbox import Outbox
from shared.broker import make_broker, make_publish
from shared.events import PredictionLogged, read
from shared.topics import declare
from tests.servers.kafka import EmbeddedKafka
from tests.services.model_gateway.test_delivery import prediction


@pytest.fixture
async def kafka(tmp_path: Path) -> AsyncIterator[EmbeddedKafka]:
    """A broker with the topic, that has just died."""
    kafka = EmbeddedKafka(tmp_path / "kafka")
    await asyncio.to_thread(kafka.start)
    await asyncio.to_thread(declare, [PredictionLogged.topic], kafka.address, 1, 30)
    yield kafka
    if kafka.is_running:
        kafka.stop()


@pytest.fixture
async def broker(kafka: EmbeddedKafka) -> AsyncIterator[KafkaBroker]:
    broker = make_broker(kafka.address, "gateway-test", CollectorRegistry())
    await broker.start()
    yield broker
    await broker.stop()


async def test_what_was_answered_while_the_broker_was_away_arrives(
    kafka: EmbeddedKafka, broker: KafkaBroker, tmp_path: Path
) -> None:
    outbox = Outbox(tmp_path / "outbox", segment_bytes=2000, most_bytes=1 << 30, fsync=False)
    delivering = asyncio.create_task(Delivery(outbox, make_publish(broker, "model_gateway")).run_for_ever())
    await outbox.append(prediction(0).model_dump_json().encode())
    await emptied(outbox)
    kafka.kill()
    for number in range(1, 40):
        await asyncio.wait_for(outbox.append(prediction(number).model_dump_json().encode()), timeout=1)
    assert outbox.backlog_bytes > 0
    await asyncio.to_thread(kafka.start)
    await asyncio.wait_for(emptied(outbox), timeout=30)
    delivering.cancel()
    ids = [event.prediction_id for event in await asyncio.to_thread(consumed, kafka.address, 40)]
    assert sorted(ids) == sorted(f"p-{number}" for number in range(40))


async def emptied(outbox: Outbox) -> None:
    while outbox.backlog_bytes:
        await asyncio.sleep(0.02)  # the outbox tells its writer's side, not who waits for its end


def consumed(address: str, count: int) -> list[PredictionLogged]:
    consumer = Consumer({"bootstrap.servers": address, "group.id": "test", "auto.offset.reset": "earliest"})
    consumer.subscribe([PredictionLogged.topic.name])
    try:
        messages = consumer.consume(count, timeout=20)
        return [read(PredictionLogged, one.value(), one.headers() or ()) for one in messages]
    finally:
        consumer.close()
