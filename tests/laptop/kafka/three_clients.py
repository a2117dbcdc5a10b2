"""The same two acts, write records and read them, by each of the three client libraries."""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Producer
from kafka import KafkaConsumer, KafkaProducer

from tests.laptop.kafka.clients import PATIENCE_SECONDS, Record, fresh, read_topic

Times = list[tuple[bool, int]]
"""For each record: is it the broker's time, and which (ms)."""


def confluent_writes(address: str, topic: str, records: Sequence[Record]) -> None:
    producer = Producer({"bootstrap.servers": address, "acks": "all", "enable.idempotence": True})
    for record in records:
        producer.produce(topic, record.value, record.key, partition=0, headers=list(record.headers))
    assert producer.flush(PATIENCE_SECONDS) == 0


def confluent_reads(address: str, topic: str, count: int) -> list[Record]:
    found = read_topic(address, topic, count)
    return [Record(m.key(), m.value(), tuple(m.headers() or ())) for m in found]


def confluent_times(address: str, topic: str, count: int) -> Times:
    found = (message.timestamp() for message in read_topic(address, topic, count))
    return [(kind == TIMESTAMP_LOG_APPEND_TIME, at) for kind, at in found]


def aiokafka_writes(address: str, topic: str, records: Sequence[Record]) -> None:
    async def write() -> None:
        async with AIOKafkaProducer(
            bootstrap_servers=address, acks="all", enable_idempotence=True
        ) as producer:
            for record in records:
                await producer.send_and_wait(
                    topic, record.value, record.key, partition=0, headers=list(record.headers)
                )

    asyncio.run(write())


def aiokafka_reads(address: str, topic: str, count: int) -> list[Record]:
    return [Record(m.key, m.value, tuple(m.headers)) for m in _aiokafka_messages(address, topic, count)]


def aiokafka_times(address: str, topic: str, count: int) -> Times:
    found = _aiokafka_messages(address, topic, count)
    return [(message.timestamp_type == 1, message.timestamp) for message in found]


def _aiokafka_messages(address: str, topic: str, count: int) -> list[Any]:
    async def read() -> list[Any]:
        async with AIOKafkaConsumer(
            topic, bootstrap_servers=address, group_id=fresh("group"), auto_offset_reset="earliest"
        ) as consumer:
            return [await consumer.getone() for _ in range(count)]

    return asyncio.run(asyncio.wait_for(read(), PATIENCE_SECONDS))


def kafka_python_writes(address: str, topic: str, records: Sequence[Record]) -> None:
    producer = KafkaProducer(bootstrap_servers=address, acks="all", enable_idempotence=True)
    sent = [
        producer.send(topic, record.value, record.key, headers=list(record.headers), partition=0)
        for record in records
    ]
    for each in sent:
        each.get(timeout=PATIENCE_SECONDS)
    producer.close()


def kafka_python_reads(address: str, topic: str, count: int) -> list[Record]:
    found = _kafka_python_messages(address, topic, count)
    return [Record(m.key, m.value, tuple(m.headers)) for m in found]


def kafka_python_times(address: str, topic: str, count: int) -> Times:
    found = _kafka_python_messages(address, topic, count)
    return [(message.timestamp_type == 1, message.timestamp) for message in found]


def _kafka_python_messages(address: str, topic: str, count: int) -> list[Any]:
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=address,
        group_id=fresh("group"),
        auto_offset_reset="earliest",
        consumer_timeout_ms=PATIENCE_SECONDS * 1000,
    )
    found = [next(consumer) for _ in range(count)]
    consumer.close()
    return found


WRITERS = {
    "confluent": confluent_writes,
    "aiokafka": aiokafka_writes,
    "kafka_python": kafka_python_writes,
}
READERS = {"confluent": confluent_reads, "aiokafka": aiokafka_reads, "kafka_python": kafka_python_reads}
READERS_OF_TIMES = {
    "confluent": confluent_times,
    "aiokafka": aiokafka_times,
    "kafka_python": kafka_python_times,
}
