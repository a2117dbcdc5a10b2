"""Reads the topics of dead letters: each time what came since the time before. Calls block, and all end."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from services.workloads.dead_letters import DeadLetter, RawRecord, read_letter
from services.workloads.kafka_silent import KafkaSilent
from shared.kafka import Kafka

ANSWER_SECONDS = 5.0
READ_SECONDS = 20.0
NEAR = 500  # records that are read past rather than asking anew
MOST_LETTERS = 100_000  # remembered, without their payloads
Place = tuple[str, int]
Stands = tuple[str, int, int]
"""A topic, a partition and an offset."""


class DeadLetterTopics:
    """What lies on them now. To be used from threads: one reads at a time."""

    def __init__(self, topics: Iterable[str], kafka: Kafka) -> None:
        """`topics` are those of dead letters; they need not be there."""
        self._topics, self._kafka = list(topics), kafka
        self._lock = threading.Lock()
        self._letters: dict[Place, list[DeadLetter]] = {}
        self._next: dict[Place, int] = {}

    def letters(self) -> list[DeadLetter]:
        """All that is kept. Raises KafkaSilent if it cannot be read to its end in time."""
        with self._lock, self._consumer() as consumer:
            ends = self._forget_what_is_gone(consumer)
            self._read(consumer, ends)
            return [letter for letters in self._letters.values() for letter in letters]

    def records(self, places: Iterable[Stands]) -> dict[Stands, RawRecord]:
        """What stands at these places, where something still does. Raises KafkaSilent."""
        by_partition: dict[Place, set[int]] = {}
        for topic, partition, offset in places:
            by_partition.setdefault((topic, partition), set()).add(offset)
        found = {}
        with self._consumer() as consumer:
            known = consumer.list_topics(timeout=ANSWER_SECONDS).topics
            for (topic, partition), offsets in by_partition.items():
                if topic in known and partition in known[topic].partitions:
                    for offset, raw in _of_partition(consumer, topic, partition, offsets):
                        found[topic, partition, offset] = raw
        return found

    def _forget_what_is_gone(self, consumer: Consumer) -> dict[Place, int]:
        """The end of each partition; a topic that was deleted or made anew is read anew."""
        known, ends = consumer.list_topics(timeout=ANSWER_SECONDS).topics, {}
        for topic in self._topics:
            for number in known[topic].partitions if topic in known else ():
                place = (topic, number)
                low, end = consumer.get_watermark_offsets(TopicPartition(*place), ANSWER_SECONDS)
                if end < self._next.get(place, 0):
                    self._next[place], self._letters[place] = low, []
                self._next[place] = max(self._next.get(place, 0), low)
                self._letters[place] = [
                    one for one in self._letters.get(place, ()) if one.kept_offset >= low
                ][-MOST_LETTERS:]
                ends[place] = end
        for gone in self._letters.keys() - ends.keys():
            del self._letters[gone], self._next[gone]
        return ends

    def _read(self, consumer: Consumer, ends: dict[Place, int]) -> None:
        unread = {place for place, end in ends.items() if self._next[place] < end}
        if not unread:
            return
        consumer.assign([TopicPartition(*place, self._next[place]) for place in unread])
        deadline = time.monotonic() + READ_SECONDS
        while unread:
            if time.monotonic() > deadline:
                raise KafkaSilent(f"the dead letters were not read to their end within {READ_SECONDS:.0f} s")
            for message in consumer.consume(500, 0.2):
                if message.error() is None:
                    self._take(message)
            unread = {place for place in unread if self._next[place] < ends[place]}

    def _take(self, message: Message) -> None:
        place, offset = (str(message.topic()), int(message.partition() or 0)), int(message.offset() or 0)
        letter = read_letter(_raw(message), place[1], offset)
        # One that claims another topic than its own would be sent there by whoever replays it.
        if letter is not None and letter.dead_letters == message.topic():
            self._letters[place].append(letter)
        self._next[place] = offset + 1

    @contextmanager
    def _consumer(self) -> Iterator[Consumer]:
        consumer = Consumer(
            {
                **self._kafka.reader("tuneloop-dead-letters"),
                "auto.offset.reset": "earliest",
                "allow.auto.create.topics": False,
                "log_level": 0,
            }
        )
        try:
            yield consumer
        except KafkaException as failure:
            raise KafkaSilent(failure.args[0].str()) from failure
        finally:
            consumer.close()


def _of_partition(
    consumer: Consumer, topic: str, partition: int, offsets: Iterable[int]
) -> Iterator[tuple[int, RawRecord]]:
    """Reads on where the next one is near, and begins anew where it is far."""
    low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), ANSWER_SECONDS)
    wanted = deque(sorted(offset for offset in offsets if low <= offset < high))
    following = None
    while wanted:
        if following is None or not following <= wanted[0] <= following + NEAR:
            consumer.assign([TopicPartition(topic, partition, wanted[0])])
        first = consumer.poll(ANSWER_SECONDS)
        if first is None or first.error() is not None:
            raise KafkaSilent(f"{topic}/{partition}@{wanted[0]} was not given in time")
        for message in (first, *consumer.consume(NEAR, 0)):
            offset = int(message.offset() or 0)
            while wanted and wanted[0] < offset:
                wanted.popleft()  # it is gone
            if wanted and wanted[0] == offset:
                yield wanted.popleft(), _raw(message)
            following = offset + 1


def _raw(message: Message) -> RawRecord:
    headers = [
        (name, value.encode() if isinstance(value, str) else value) for name, value in message.headers() or ()
    ]
    return RawRecord(message.key(), message.value() or b"", headers, message.timestamp()[1])
