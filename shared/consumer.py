"""How a service consumes: raw batches are read one record at a time, and what can never be read is set aside.

A batch is handled in order; when its handler fails the whole batch comes again (handlers are idempotent).
When it succeeds, invalid records go to the dead-letter topic and offsets are committed. Setting aside has a
limit: past it the subscription stops, loudly, so that a bad deploy does not drain a topic aside.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from confluent_kafka import OFFSET_BEGINNING
from faststream.confluent import KafkaBroker, KafkaMessage, TopicPartition
from prometheus_client import CollectorRegistry, Counter

from shared.events.envelope import Event, InvalidMessage, Topic, derived_id, read

MOST_INVALID_IN_A_ROW = 100
BATCH = 2000

E = TypeVar("E", bound=Event)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ConsumerRecord(Generic[E]):
    """An event and where in the log it stands."""

    event: E
    partition: int
    offset: int


Handler = Callable[[Any], Awaitable[None]]
"""Takes one event (`on_…`)."""


@dataclass(frozen=True)
class Invalid:
    """An event that reads well and can still never be handled. `reason` quotes nothing of it."""

    consumed: ConsumerRecord[Any]
    reason: str


@dataclass(frozen=True)
class Batch:
    """Marks a handler that takes all events of a batch at once, as a list of ConsumerRecord, in order.

    It may give back those that are to be set aside, once it has stored the others.
    """

    handler: Callable[[list[ConsumerRecord[Any]]], Awaitable[Sequence[Invalid] | None]]


class TooManyInvalid(Exception):
    """So many invalid records in a row mean that the reader is wrong, not the records."""


@dataclass
class DeadLetters:
    """Where records go that can never be handled: `<topic>-dead-letter`, with a reason, up to a limit."""

    broker: KafkaBroker
    set_aside: Counter
    most_in_a_row: int = MOST_INVALID_IN_A_ROW
    _in_a_row: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))

    def count(self, topic: str, partition: int, valid: bool) -> None:
        """Raises TooManyInvalid before anything more is set aside."""
        run = 0 if valid else self._in_a_row[topic, partition] + 1
        if run > self.most_in_a_row:
            raise TooManyInvalid(
                f"{topic}/{partition}: more than {self.most_in_a_row} invalid records in a row. Nothing more "
                "is set aside and the partition waits: correct the producer or this reader, then restart."
            )
        self._in_a_row[topic, partition] = run

    async def keep(self, topic: Topic, message: Any, service: str, reason: str) -> None:
        """`reason` quotes nothing of the payload; the payload itself is kept as it came."""
        place = (topic.name, str(message.partition()), str(message.offset()))
        headers = {
            "ce_id": derived_id("dead-letter", service, *place),
            "dead_letter_reason": reason[:1000],
            "dead_letter_service": service,
            "dead_letter_topic": place[0],
            "dead_letter_partition": place[1],
            "dead_letter_offset": place[2],
        }
        await self.broker.publish(
            message.value() or b"", topic.dead_letters, key=message.key(), headers=headers
        )
        self.set_aside.labels(topic.name, service).inc()
        log.warning("%s/%s@%s set aside: %s", *place, reason)


def make_dead_letters(broker: KafkaBroker, registry: CollectorRegistry) -> DeadLetters:
    counter = Counter(
        "tuneloop_dead_letters", "Records set aside as invalid", ("topic", "service"), registry=registry
    )
    return DeadLetters(broker, counter)


def subscribe(
    broker: KafkaBroker,
    service: str,
    kind: type[Event],
    handler: Handler | Batch,
    dead_letters: DeadLetters,
    *,
    from_now: bool = False,
) -> None:
    """Subscribes a service to one kind of event, in the consumer group `service.topic`.

    State events are read from their beginning at every start, by assignment: every process needs them all.
    """
    topic = kind.topic
    group = f"{service}.{topic.name}"
    common: dict[str, Any] = {
        "group_id": group,
        "auto_offset_reset": "latest" if from_now else "earliest",
        "batch": True,
        "max_records": BATCH,
        "decoder": _undecoded,
        "partition_assignment_strategy": "cooperative-sticky",
        "title": group,
    }
    if kind.is_state:
        beginning = [
            TopicPartition(topic.name, partition, OFFSET_BEGINNING, declare=False)
            for partition in range(topic.partitions)
        ]
        subscriber = broker.subscriber(partitions=beginning, **common)
    else:
        subscriber = broker.subscriber(topic.name, **common)

    async def on_records(message: KafkaMessage) -> None:
        raw: Sequence[Any] = message.raw_message
        good: list[ConsumerRecord[Event]] = []
        reasons: dict[tuple[int, int], str] = {}
        for one in raw:
            try:
                event = read(kind, one.value(), one.headers() or ())
            except InvalidMessage as invalid:
                reasons[one.partition(), one.offset()] = str(invalid)
            else:
                good.append(ConsumerRecord(event, one.partition(), one.offset()))
        for invalid_event in await _handled(handler, good):
            consumed = invalid_event.consumed
            reasons[consumed.partition, consumed.offset] = invalid_event.reason
        for one in raw:
            valid = (one.partition(), one.offset()) not in reasons
            dead_letters.count(topic.name, one.partition(), valid=valid)
        for one in raw:
            if reason := reasons.get((one.partition(), one.offset())):
                await dead_letters.keep(topic, one, service, reason)

    subscriber(on_records)


async def _handled(handler: Handler | Batch, good: list[ConsumerRecord[Event]]) -> Sequence[Invalid]:
    if isinstance(handler, Batch):
        return (await handler.handler(good) or ()) if good else ()
    for consumed in good:
        await handler(consumed.event)
    return ()


async def _undecoded(message: KafkaMessage) -> Any:
    return message.body
