"""Where records go that can never be handled: `<topic>-dead-letter`, with a reason."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException

from shared.consumer.dead_letter import dead_letter, reference
from shared.consumer.metrics import ConsumerMetrics
from shared.consumer.records import Invalid
from shared.events.envelope import Record, Topic, now
from shared.producer import Producer

_TOO_BIG = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE, KafkaError.INVALID_MSG_SIZE)
MOST_LOGGED = 5  # of a batch

log = logging.getLogger(__name__)


class SetAside(Protocol):
    """Returns when the records need not be handled any more."""

    async def __call__(self, topic: Topic, records: Sequence[Invalid]) -> None: ...


@dataclass(frozen=True)
class DeadLetters:
    """Publishes records in the name of one service."""

    producer: Producer
    service: str
    metrics: ConsumerMetrics

    async def __call__(self, topic: Topic, records: Sequence[Invalid]) -> None:
        letters = [self._letter(topic, one) for one in records]
        try:
            await self.producer.publish_records(letters)
        except KafkaException as error:
            if error.args[0].code() not in _TOO_BIG:
                raise
            for letter in letters:
                await self._publish(letter)
        self.metrics.dead_letters.labels(self.service, topic.name).inc(len(records))
        _say(topic, records, "set aside")

    def _letter(self, topic: Topic, invalid: Invalid) -> Record:
        consumed = invalid.consumed
        value, key = consumed.value, consumed.key
        if value is None and consumed.event is not None:  # of a topic that has very many
            event: Any = consumed.event
            value, key = event.to_json(), event.key.encode()
        where = (consumed.partition, consumed.offset, invalid.reason, now())
        return dead_letter(topic, self.service, *where, value, key, consumed.headers)

    async def _publish(self, letter: Record) -> None:
        try:
            await self.producer.publish_records([letter])
        except KafkaException as error:
            if error.args[0].code() not in _TOO_BIG:
                raise
            await self.producer.publish_records([reference(letter)])


@dataclass(frozen=True)
class Skips:
    """Goes on without them: live events are set aside by others, and state stays on its topic for ever."""

    service: str
    metrics: ConsumerMetrics

    async def __call__(self, topic: Topic, records: Sequence[Invalid]) -> None:
        self.metrics.skipped.labels(self.service, topic.name).inc(len(records))
        _say(topic, records, f"skipped by {self.service}")


def _say(topic: Topic, records: Sequence[Invalid], what: str) -> None:
    for one in records[:MOST_LOGGED]:
        where = (topic.name, one.consumed.partition, one.consumed.offset)
        log.warning("%s/%d@%d %s: %s", *where, what, one.reason)
    if len(records) > MOST_LOGGED:
        log.warning("%s: %d more %s", topic.name, len(records) - MOST_LOGGED, what)
