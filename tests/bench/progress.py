"""How far a consumer group is: committed offsets and ends, looked at all the time."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from shared.events.envelope import Topic

LOOK_SECONDS = 0.2
ANSWER_SECONDS = 2.0

Place = tuple[str, int]


@dataclass(frozen=True)
class Sight:
    """What Kafka said at one moment."""

    asked_at: float
    """On the monotonic clock, before the questions."""
    committed: Mapping[Place, int]
    ends: Mapping[Place, int]

    @property
    def lag(self) -> int:
        return sum(self.ends.values()) - sum(self.committed.values())


@dataclass
class Recovery:
    """From the end of a fault until each partition in which records wait has gone on: a later commit than the
    first that was seen after that end. A kill ends when what was killed is started again."""

    what: str
    began: float
    seconds: float | None = None
    _waiting: dict[Place, int] | None = field(default=None, init=False)

    def look(self, sight: Sight) -> None:
        if self.seconds is not None or sight.asked_at < self.began:
            return
        if self._waiting is None:
            self._waiting = {
                place: done for place, done in sight.committed.items() if done < sight.ends[place]
            }
        if all(sight.committed[place] > done for place, done in self._waiting.items()):
            self.seconds = time.monotonic() - self.began


class Watch:
    """Looks in a thread of its own; while the broker is away it sees nothing."""

    def __init__(self, kafka: str, group: str, topics: Sequence[Topic]) -> None:
        self._kafka, self._group, self._topics = kafka, group, topics
        self._is_stopping = threading.Event()
        self._lock = threading.Lock()
        self.last: Sight | None = None
        self.recoveries: list[Recovery] = []
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_stopping.set()
        self._thread.join(10)

    def begin(self, what: str, began: float) -> Recovery:
        """Begins to time a recovery."""
        recovery = Recovery(what, began)
        with self._lock:
            self.recoveries.append(recovery)
        return recovery

    def _run(self) -> None:
        settings = {
            "bootstrap.servers": self._kafka,
            "group.id": self._group,
            "reconnect.backoff.max.ms": 500,
            "log_level": 2,
            "error_cb": lambda error: None,
        }
        consumer = Consumer(settings)
        admin = AdminClient({name: value for name, value in settings.items() if name != "group.id"})
        places = [
            TopicPartition(topic.name, number) for topic in self._topics for number in range(topic.partitions)
        ]
        while not self._is_stopping.wait(LOOK_SECONDS):
            try:
                sight = _look(consumer, admin, places)
            except KafkaException:
                continue
            with self._lock:
                self.last = sight
                for recovery in self.recoveries:
                    recovery.look(sight)
        consumer.close()


def _look(consumer: Consumer, admin: AdminClient, places: list[TopicPartition]) -> Sight:
    """Two requests, for what is measured pays for them."""
    asked_at = time.monotonic()
    committed = consumer.committed(places, timeout=ANSWER_SECONDS)
    latest = OffsetSpec.latest()
    asked = admin.list_offsets(dict.fromkeys(places, latest), request_timeout=ANSWER_SECONDS)
    ends = {(place.topic, place.partition): end.result().offset for place, end in asked.items()}
    return Sight(asked_at, {(one.topic, one.partition): max(0, one.offset) for one in committed}, ends)


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that so large a share of them does not exceed; None of none."""
    ordered = sorted(values)
    return round(ordered[max(0, -int(-share * len(ordered) // 1) - 1)], 2) if ordered else None
