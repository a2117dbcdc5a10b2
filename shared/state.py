"""State events at start: what workloads and champions there are, before anything else is consumed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from shared.events.envelope import Event, InvalidMessage, read


def read_state(
    kinds: Sequence[type[Event]], bootstrap_servers: str, patience_seconds: float = 60
) -> list[Event]:
    """All events of these state topics up to now. Invalid records are left to the subscription to set aside.

    Blocks: call it in a thread. Raises TimeoutError if the broker does not deliver them in time.
    """
    by_topic = {kind.topic.name: kind for kind in kinds}
    consumer = Consumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": "state-reader", "enable.auto.commit": False}
    )
    deadline = time.monotonic() + patience_seconds
    try:
        partitions = [
            TopicPartition(kind.topic.name, partition, OFFSET_BEGINNING)
            for kind in kinds
            for partition in range(kind.topic.partitions)
        ]
        ends = {
            (place.topic, place.partition): consumer.get_watermark_offsets(place, timeout=patience_seconds)
            for place in partitions
        }
        missing = {place for place, (start, end) in ends.items() if end > start}
        consumer.assign(partitions)
        events: list[Event] = []
        while missing:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Kafka at {bootstrap_servers} did not deliver {sorted(missing)} in time")
            for message in consumer.consume(1000, timeout=0.2):
                if message.error():
                    continue
                place = (str(message.topic()), int(message.partition() or 0))
                with suppress(InvalidMessage):
                    events.append(read(by_topic[place[0]], message.value(), message.headers() or ()))
                if int(message.offset() or 0) + 1 >= ends[place][1]:
                    missing.discard(place)
        return events
    finally:
        consumer.close()
