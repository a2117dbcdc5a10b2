"""Answers recorded while Kafka was away reach it when it is back, over the real client and broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer
from prometheus_client import CollectorRegistry

from shared.broker import Broker, make_broker
from shared.events import PredictionLogged, read
from shared.fields import FrozenAdapter
from shared.kafka import Kafka
from shared.outbox import Delivery
from shared.topics import declare
from tests.servers.kafka import EmbeddedKafka
from tests.servers.model import lora_adapter
from tests.services.model_gateway.conftest import Gateways, added, promoted
from tests.shared.outbox.records import outbox, predicted
from tests.shared.outbox.test_delivery import running, until


@pytest.fixture
async def kafka(tmp_path: Path) -> AsyncIterator[EmbeddedKafka]:
    """A broker with the topic."""
    kafka = EmbeddedKafka(tmp_path / "kafka")
    await asyncio.to_thread(kafka.start)
    await asyncio.to_thread(declare, [PredictionLogged.topic], Kafka(kafka.address), 1, 30)
    yield kafka
    if kafka.is_running:
        kafka.stop()


@pytest.fixture
async def broker(kafka: EmbeddedKafka) -> AsyncIterator[Broker]:
    broker = make_broker(Kafka(kafka.address), "gateway-test", CollectorRegistry())
    await broker.start()
    yield broker
    await broker.stop()


async def test_what_was_answered_while_the_broker_was_away_arrives(
    kafka: EmbeddedKafka, broker: Broker, tmp_path: Path
) -> None:
    with outbox(tmp_path, segment_bytes=2000) as opened:
        async with running(Delivery(opened, broker.producer.publish_and_wait)):
            await opened.append([predicted(0)])
            await until(lambda: opened.backlog_bytes == 0, 30)
            kafka.kill()
            for number in range(1, 40):
                await asyncio.wait_for(opened.append([predicted(number)]), timeout=1)
            assert opened.backlog_bytes > 0
            await asyncio.to_thread(kafka.start)
            await until(lambda: opened.backlog_bytes == 0, 30)
    ids = [event.prediction_id for event in await asyncio.to_thread(consumed, kafka.address, 40)]
    assert sorted(ids) == sorted(f"p-{number}" for number in range(40))


async def test_a_gateway_that_is_told_to_stop_delivers_first(
    kafka: EmbeddedKafka,
    broker: Broker,
    gateways: Gateways,
    models_url: str,
    freeze: Callable[[str, Path], FrozenAdapter],
) -> None:
    gateway = await gateways(models_url, producer=broker.producer)
    await gateway.apply(added(), promoted(freeze("tickets-1", lora_adapter(1))))
    working = [asyncio.ensure_future(work()) for work in gateway.service.background]
    await asyncio.sleep(0)
    answers = [await gateway.ask(f"message {number}") for number in range(5)]
    assert gateway.service.stop is not None
    await asyncio.wait_for(gateway.service.stop(), 10)
    for work in working:
        work.cancel()
    given = {answer.headers["x-tuneloop-prediction-id"] for answer in answers}
    assert {event.prediction_id for event in await asyncio.to_thread(consumed, kafka.address, 5)} == given


def consumed(address: str, count: int) -> list[PredictionLogged]:
    consumer = Consumer({"bootstrap.servers": address, "group.id": "test", "auto.offset.reset": "earliest"})
    consumer.subscribe([PredictionLogged.topic.name])
    try:
        messages = consumer.consume(count, timeout=20)
        return [read(PredictionLogged, one.value(), one.headers() or ()) for one in messages]
    finally:
        consumer.close()
