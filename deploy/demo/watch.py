"""Watches events as they are published: what the command line and the demo follow the loop by."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from confluent_kafka import Consumer, TopicPartition

from shared.events import EVENTS, Event, InvalidMessage, now, read
from shared.kafka import Kafka
from shared.topics import declare, topics_of

E = TypeVar("E", bound=Event)


class Watch:
    """Events of some kinds from the moment the watch began, each kept until somebody waits for it."""

    def __init__(self) -> None:
        self.since = now()
        self._seen: list[Event] = []
        self._changed = asyncio.Condition()

    async def apply(self, event: Event) -> None:
        async with self._changed:
            self._seen.append(event)
            self._changed.notify_all()

    def seen(self, kind: type[E]) -> list[E]:
        return [event for event in self._seen if isinstance(event, kind)]

    async def first(self, *kinds: type[Event], when: Callable[[Any], bool] = lambda _: True) -> Event:
        """The first event of these kinds for which `when` holds."""
        async with self._changed:
            while True:
                for event in self._seen:
                    if isinstance(event, kinds) and when(event):
                        return event
                await self._changed.wait()


@asynccontextmanager
async def watching(kafka: Kafka, kinds: Iterable[type[Event]] = EVENTS) -> AsyncIterator[Watch]:
    """A watch on these kinds of events, with nothing published afterwards missed."""
    kinds = tuple(kinds)
    await asyncio.to_thread(declare, topics_of(kinds), kafka, 0, 30)
    watch, loop, stop, assigned = Watch(), asyncio.get_running_loop(), threading.Event(), threading.Event()
    by_topic = {kind.topic.name: kind for kind in kinds}

    def consume() -> None:
        consumer = Consumer(kafka.reader("tuneloop-watch"))
        try:
            consumer.assign(
                [
                    TopicPartition(kind.topic.name, number, _end(consumer, kind.topic.name, number))
                    for kind in kinds
                    for number in range(kind.topic.partitions)
                ]
            )
            assigned.set()
            while not stop.is_set():
                for message in consumer.consume(500, timeout=0.2):
                    if message.error():
                        continue
                    with suppress(InvalidMessage):
                        kind = by_topic[str(message.topic())]
                        event = read(kind, message.value(), message.headers() or ())
                        asyncio.run_coroutine_threadsafe(watch.apply(event), loop)
        finally:
            assigned.set()
            consumer.close()

    thread = threading.Thread(target=consume, name="watch", daemon=True)
    thread.start()
    await asyncio.to_thread(assigned.wait)
    try:
        yield watch
    finally:
        stop.set()
        await asyncio.to_thread(thread.join)


def _end(consumer: Consumer, topic: str, partition: int) -> int:
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
    return int(end)
