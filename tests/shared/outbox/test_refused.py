"""A record that Kafka will never take is kept beside the outbox, and stops none behind it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from prometheus_client import CollectorRegistry

from shared.broker import make_broker
from shared.events.envelope import Record
from shared.kafka import Kafka
from shared.outbox import Delivery
from shared.outbox.lines import record_in
from tests.shared.consuming import eventually
from tests.shared.outbox.records import outbox, small

RECORDS = 20


def topic_of_small_records(servers: str) -> str:
    name = f"{uuid4().hex[:8]}-small"
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(name, 1, 1, config={"max.message.bytes": "10000"})])[name].result(30)
    return name


def values_in(servers: str, topic: str) -> set[bytes | None]:
    reader = Consumer({"bootstrap.servers": servers, "group.id": uuid4().hex})
    reader.assign([TopicPartition(topic, 0, 0)])
    found: set[bytes | None] = set()
    while messages := reader.consume(1000, 2):
        found |= {message.value() for message in messages}
    reader.close()
    return found


async def test_a_record_that_kafka_will_never_take_is_kept_aside_and_stops_nothing(
    kafka: str, tmp_path: Path
) -> None:
    topic = await asyncio.to_thread(topic_of_small_records, kafka)
    broker = make_broker(Kafka(kafka), "test", CollectorRegistry())
    too_big = Record(topic, b"key", b'"' + b"x" * 20_000 + b'"', {"ce_id": "too big"})
    wanted = [small(str(number), topic) for number in range(RECORDS)]

    with outbox(tmp_path) as opened:
        await opened.append([*wanted[:13], too_big, *wanted[13:]])
        work = asyncio.create_task(Delivery(opened, broker.producer.publish_and_wait).run_for_ever())
        await eventually(lambda: opened.backlog_bytes == 0, 30)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    await broker.stop()
    assert await asyncio.to_thread(values_in, kafka, topic) == {one.value for one in wanted}
    [kept] = (tmp_path / "outbox" / "refused").read_bytes().splitlines()
    assert record_in(kept)[0] == too_big
