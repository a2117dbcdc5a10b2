"""Topics that every process reads for itself, without a group: state from the start, live events from now."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from confluent_kafka import Consumer, Message, TopicPartition

from shared.consumer.polling import SETTINGS, Delivery, PollingThread, on_error
from shared.consumer.reading import Reader, read_messages
from shared.consumer.records import Place
from shared.consumer.sampling import Sampler
from shared.consumer.waiting import Waiting
from shared.consumer.worker import Flow, TopicWorker
from shared.events.envelope import Event
from shared.kafka import Kafka

ANSWER_SECONDS = 10.0
HANDLERS_END_SECONDS = 3.0

log = logging.getLogger(__name__)

MakeWorker = Callable[[Flow], TopicWorker]


@dataclass(frozen=True)
class Followed:
    """A topic that is read, by whom."""

    kind: type[Event]
    makers: Sequence[MakeWorker]
    is_sampled: bool = False
    """They need only a few of its records a second, and the number of the others."""


class AssignedConsumer:
    """One consumer for all who read these topics in this process. Nothing is committed."""

    def __init__(
        self,
        name: str,
        followed: Sequence[Followed],
        kafka: Kafka,
        *,
        from_now: bool,
        on_handled: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_handled` is called whenever one of them has handled something."""
        self.name, self._kafka = name, kafka
        self._followed = {one.kind.topic.name: one for one in followed}
        self._readers = {topic: Reader(one.kind) for topic, one in self._followed.items()}
        self._samplers: dict[str, Sampler[Message]] = {
            topic: Sampler() for topic, one in self._followed.items() if one.is_sampled
        }
        self._from_now, self._on_handled = from_now, on_handled
        self._workers: dict[str, list[TopicWorker]] = {}
        self._missing: set[tuple[int, Place]] = set()
        self._ends: dict[Place, int] = {}
        self._caught_up = asyncio.Event()

    async def ready(self) -> None:
        """Returns when nothing that comes can be missed, and everything that was there is handled."""
        await self._caught_up.wait()

    async def run(self) -> None:
        """Until it is cancelled. Raises KafkaException if Kafka cannot be consumed from."""
        if not self._followed:
            self._caught_up.set()
            return
        self._loop = asyncio.get_running_loop()
        self._missing, self._ends = set(), {}
        self._consumer = consumer = Consumer(self._settings())
        self._thread = thread = PollingThread(
            consumer, self.name, self._begin, self._read, self._deliver, self._between_polls, _nothing
        )
        # Readers share the consumer: a partition pauses when one has enough, and goes on when one wants more.
        self._workers = {
            topic: [
                make(Flow(partial(self._handled, number), thread.hold_back, thread.resume, _nobody_asks))
                for number, make in enumerate(one.makers)
            ]
            for topic, one in self._followed.items()
        }
        thread.start()
        workers = [worker for of_topic in self._workers.values() for worker in of_topic]
        working = [asyncio.create_task(worker.run()) for worker in workers]
        ended = asyncio.create_task(thread.ended())
        try:
            await asyncio.wait({ended, *working}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for worker in workers:
                worker.stop()
            await asyncio.wait(working, timeout=HANDLERS_END_SECONDS)
            await thread.stop()
            for task in (ended, *working):
                task.cancel()
            outcomes = await asyncio.gather(ended, *working, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    def _settings(self) -> dict[str, object]:
        return {
            **SETTINGS,
            **self._kafka.reader(self.name),
            "auto.offset.reset": "latest" if self._from_now else "earliest",
            "error_cb": on_error(self.name),
        }

    def _begin(self) -> None:
        """On the polling thread. Ends are asked for before anything is fetched, so that no answer waits."""
        known = self._consumer.list_topics(timeout=ANSWER_SECONDS).topics
        places = [(topic, number) for topic in self._followed for number in known[topic].partitions]
        spans = {
            place: self._consumer.get_watermark_offsets(TopicPartition(*place), timeout=ANSWER_SECONDS)
            for place in places
        }
        starts = [
            TopicPartition(*place, end if self._from_now else start) for place, (start, end) in spans.items()
        ]
        self._consumer.assign(starts)
        there = {place: end for place, (start, end) in spans.items() if end > start and not self._from_now}
        self._loop.call_soon_threadsafe(self._expect, there)

    def _expect(self, ends: Mapping[Place, int]) -> None:
        self._ends = dict(ends)
        self._missing = {(reader, place) for place in ends for reader in range(len(self._workers[place[0]]))}
        if not self._missing:
            self._caught_up.set()

    def _read(self, messages: Sequence[Message]) -> Delivery:
        """On the polling thread."""
        if not self._samplers:
            return read_messages(self._readers, messages)
        now, wanted = time.monotonic(), []
        for message in messages:
            sampler = self._samplers.get(message.topic())
            if sampler is None or sampler.takes(message, now):
                wanted.append(message)
        return self._counted(wanted)

    def _between_polls(self) -> None:
        """What a burst ended with is given too, so that its number is known."""
        now = time.monotonic()
        last = [left for sampler in self._samplers.values() if (left := sampler.left(now)) is not None]
        if last:
            self._loop.call_soon_threadsafe(self._deliver, self._counted(last))

    def _counted(self, messages: Sequence[Message]) -> Delivery:
        delivery = read_messages(self._readers, messages)
        for (topic, _), records in delivery.items():
            if (sampler := self._samplers.get(topic)) is not None:
                for record in records:
                    record.unseen = sampler.unseen()
        return delivery

    def _deliver(self, delivery: Delivery) -> None:
        for (topic, number), records in delivery.items():
            for worker in self._workers[topic]:
                worker.deliver(number, records)

    def _handled(self, reader: int, place: Place, next_offset: int) -> None:
        self._on_handled()
        if next_offset >= self._ends.get(place, 0) and (reader, place) in self._missing:
            self._missing.discard((reader, place))
            if not self._missing:
                self._caught_up.set()


def _nothing() -> None:
    return


def _nobody_asks(place: Place, waiting: Waiting | None) -> None:
    return  # without a group there is no offset that it could stand beside
