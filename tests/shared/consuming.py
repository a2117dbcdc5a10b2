"""What the tests of consuming share: a service of one handler, running against a broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from kafka import KafkaConsumer
from kafka import TopicPartition as Partition
from kafka.structs import OffsetAndMetadata
from prometheus_client import CollectorRegistry

from services.background import keep_running
from shared.broker import Broker, make_broker
from shared.consumer import Batch, Handler, Sample
from shared.consumer.metrics import ConsumerMetrics
from shared.consumer.ownership import Ownership
from shared.consumer.process import ProcessConsumers
from shared.consumer.settings import ConsumerSettings
from shared.events import FeedbackGiven, PredictionLogged, Thumb, WorkloadAdded
from shared.events.envelope import Event, Topic
from shared.fields import FrozenFile
from shared.kafka import Kafka
from shared.projections import Workloads
from shared.service import Service
from shared.topics import declare, topics_of
from shared.workload import Workload


def logged(prediction_id: str, workload: str = "tickets") -> PredictionLogged:
    return PredictionLogged(
        prediction_id=prediction_id, workload=workload, predicted_at=datetime.now(UTC), input="text",
        answer="refund", confidence=0.5, adapter="a",
    )  # fmt: skip


def feedback(feedback_id: str, prediction_id: str) -> FeedbackGiven:
    return FeedbackGiven(
        feedback_id=feedback_id, prediction_id=prediction_id, workload="tickets", thumb=Thumb.DOWN,
        given_at=datetime.now(UTC),
    )  # fmt: skip


@dataclass(frozen=True)
class Running:
    """A service that consumes."""

    name: str
    broker: Broker
    registry: CollectorRegistry
    ownership: Ownership
    consumers: ProcessConsumers


@asynccontextmanager
async def running(
    servers: str,
    consumes: Mapping[type[Event], Handler | Batch | Sample],
    *,
    name: str | None = None,
    workloads: Workloads | None = None,
    from_now: bool = False,
    settings: ConsumerSettings | None = None,
) -> AsyncIterator[Running]:
    """Until the block ends; then it leaves its group, as a service does that is told to stop."""
    await asyncio.to_thread(declare, topics_of(consumes), Kafka(servers), 1, 30)
    name, registry = name or f"test-{uuid4().hex[:8]}", CollectorRegistry()
    broker, ownership = make_broker(Kafka(servers), name, registry), Ownership()
    service = Service(name, consumes, workloads=workloads, consumes_from_now=from_now)
    await broker.connect()
    consumers = ProcessConsumers(
        [service],
        {name: ownership},
        broker.producer,
        Kafka(servers),
        ConsumerMetrics(registry),
        settings or ConsumerSettings(),
    )
    # Kept running as the runner does it: on Apache Kafka a new topic has no leader yet.
    tasks = [asyncio.create_task(keep_running("state", consumers.state.run))]
    await asyncio.wait_for(consumers.state.ready(), 30)
    tasks += [asyncio.create_task(keep_running(one.name, one.run)) for one in consumers.others]
    async with asyncio.timeout(30):
        await asyncio.gather(*(consumer.ready() for consumer in consumers.others))
    try:
        yield Running(name, broker, registry, ownership, consumers)
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await broker.stop()
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome


def own_topic(kind: type[Event], partitions: int = 3, name: str | None = None) -> type[Event]:
    """The same event on a topic that no other test uses."""
    name = name or f"{uuid4().hex[:8]}-{kind.topic.name}"
    topic = Topic(name, kind.topic.key, partitions, kind.topic.retention)
    return type(kind.__name__, (kind,), {"topic": topic, "__module__": __name__})


def produce(
    servers: str,
    topic: str,
    values: Mapping[int, list[bytes]],
    *,
    settings: Mapping[str, Any] | None = None,
    **more: Any,
) -> None:
    """Raw records by partition."""
    producer = Producer({"bootstrap.servers": servers, **(settings or {})})
    for partition, records in values.items():
        for value in records:
            producer.produce(topic, value, partition=partition, **more)
    assert producer.flush(20) == 0


def committed(servers: str, group: str, topic: str, partitions: int) -> dict[int, int]:
    """Committed offsets by partition; none where nothing was committed."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
    wanted, until = [TopicPartition(topic, number) for number in range(partitions)], time.monotonic() + 20
    try:
        while True:
            try:
                places = consumer.committed(wanted, timeout=20)
                break
            except KafkaException:  # a broker that has just started knows no coordinator yet
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
    finally:
        consumer.close()
    return {place.partition: place.offset for place in places if place.offset >= 0}


def commit_as_another_tool(servers: str, group: str, topic: str, partitions: int) -> None:
    """Offset 0 on each, with notes that no zero byte ends.

    So long, each leaves librdkafka's copy no room for one either: whoever reads it as C does reads on.
    """
    tool = KafkaConsumer(bootstrap_servers=servers, group_id=group, enable_auto_commit=False)
    notes = {Partition(topic, number): "x" * (24 + 16 * number) for number in range(partitions)}
    tool.commit({place: OffsetAndMetadata(0, note, -1) for place, note in notes.items()})
    tool.close()


async def eventually(check: Any, seconds: float = 20) -> None:
    """Raises TimeoutError when `check` does not become true in time."""
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(check):
            await asyncio.sleep(0.05)


def added(name: str, revision: int = 1) -> WorkloadAdded:
    return WorkloadAdded(
        revision=revision,
        definition=Workload(name=name, title="t", prompt="{text}", labels=("refund", "order")),
        answers={"refund": " r", "order": " o"},
        rows=FrozenFile(uri="x", digest="sha256:" + "0" * 64, rows=0),
        added_at=datetime.now(UTC),
    )
