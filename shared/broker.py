"""How events are published: FastStream's broker with safe settings, over the producer in shared/producer.

FastStream's own defaults lose events: here acks=all and an idempotent producer, so that what is acknowledged
is kept, and kept once. Its own producer waits for each record by itself, which costs ten times as much, so
ours takes its place (docs/decisions/0010-publishing-in-batches.md). Consuming is ours too (shared/consumer).
"""

from __future__ import annotations

import asyncio
import logging
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import Any, Protocol

from faststream._internal.parser import DefaultCodec
from faststream.confluent import KafkaBroker
from faststream.confluent.parser import AsyncConfluentParser
from faststream.confluent.publisher.producer import AsyncConfluentFastProducer
from faststream.confluent.response import KafkaPublishCommand
from prometheus_client import CollectorRegistry, Counter

from shared.events.envelope import Event, Record, record
from shared.kafka import Kafka
from shared.producer import Producer

MAX_MESSAGE_BYTES = 1_000_000  # librdkafka's default; a topic takes a little more
CONFIRMED_MS = 45_000  # a handler has 60 s: it is to hear the cause before it is cut off
RECONNECT_MS = 1_000  # librdkafka's default is 10 s after a long outage
QUEUE_KILOBYTES = 128 << 10  # librdkafka's default is 1 GiB


class Publish(Protocol):
    """Returns when the broker has the events. The same event published twice is the same event."""

    async def __call__(self, *events: Event) -> None: ...


class Broker(KafkaBroker):
    """FastStream's broker; what it publishes goes by `producer`, which `broker.producer` also gives away."""

    def __init__(self, *servers: str, registry: CollectorRegistry, **settings: Any) -> None:
        super().__init__(*servers, **settings)
        published = Counter(
            "tuneloop_published_records", "Records that Kafka acknowledged", ("topic",), registry=registry
        )
        of_topic = cache(published.labels)
        self.producer = Producer(
            self.config.broker_config.connection_config.producer_config,
            lambda topic, count: of_topic(topic).inc(count),
        )
        self.config.broker_config.producer = _InBatches(self.producer)

    async def _connect(self) -> Any:
        """Nothing is to be connected: the producer connects when it is used, and nothing else is used."""
        return self.config.broker_config.builder


class _InBatches(AsyncConfluentFastProducer):
    """FastStream's view of our producer. The bodies of a batch are Records, each with its own headers."""

    def __init__(self, producer: Producer) -> None:
        reading = AsyncConfluentParser()  # FastStream asks every producer how answers would be read
        self._parser, self._decoder, self.codec = (
            reading.parse_message,
            reading.decode_message,
            DefaultCodec(),
        )
        self._records = producer

    def __bool__(self) -> bool:
        return True

    async def ping(self, timeout: float) -> bool:  # noqa: ASYNC109 - as FastStream calls it
        return await self._records.answers(timeout)

    async def publish(self, cmd: KafkaPublishCommand) -> None:
        value, content_type = await self.codec.encode(cmd.body, None)
        headers = {"content-type": content_type or "", **cmd.headers_to_publish()}
        await self._records.publish_records([Record(cmd.destination, cmd.key, value, headers)])

    async def publish_batch(self, cmd: KafkaPublishCommand) -> None:
        await self._records.publish_records(cmd.batch_bodies)

    async def disconnect(self) -> None:
        await asyncio.to_thread(self._records.close)


def make_broker(kafka: Kafka, client_id: str, registry: CollectorRegistry) -> Broker:
    """A broker to publish by, with safe settings and a metric. Nothing else may construct one.

    Raises CannotUseKafka.
    """
    return Broker(
        kafka.servers,
        registry=registry,
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        linger_ms=0,  # what is awaited one by one costs a third, and a batch no more
        max_request_size=MAX_MESSAGE_BYTES,
        allow_auto_create_topics=False,
        config={
            **kafka.options,
            "log_level": 2,  # what it says of its connections: the consumers say it, and once
            "socket.nagle.disable": True,
            "reconnect.backoff.max.ms": RECONNECT_MS,
            "message.timeout.ms": CONFIRMED_MS,
            "queue.buffering.max.kbytes": QUEUE_KILOBYTES,
        },
        logger=logging.getLogger("faststream"),
        log_level=logging.DEBUG,
    )


def make_publish(broker: KafkaBroker, source: str) -> Publish:
    """How the service `source` publishes events. Raises what the broker raises: nothing is then sure."""

    async def publish(*events: Event) -> None:
        made = sorted((record(event, source) for event in events), key=attrgetter("topic"))
        for topic, records in groupby(made, attrgetter("topic")):
            await broker.publish_batch(*records, topic=topic)

    return publish
