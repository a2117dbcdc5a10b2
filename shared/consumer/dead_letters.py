"""Where records go that can never be handled: `<topic>-dead-letter`, with a reason."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from confluent_kafka import Message

from shared.consumer.metrics import ConsumerMetrics
from shared.events.envelope import Record, Topic, derived_id
from shared.producer import Producer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DeadLetters:
    """Sets records aside in the name of one service."""

    producer: Producer
    service: str
    metrics: ConsumerMetrics

    async def keep(self, topic: Topic, message: Message, reason: str) -> None:
        """`reason` quotes nothing of the payload; the payload itself is kept as it came."""
        place = (topic.name, str(message.partition()), str(message.offset()))
        headers = {
            "ce_id": derived_id("dead-letter", self.service, *place),
            "dead_letter_reason": reason[:1000],
            "dead_letter_service": self.service,
            "dead_letter_topic": place[0],
            "dead_letter_partition": place[1],
            "dead_letter_offset": place[2],
        }
        letter = Record(topic.dead_letters, message.key(), message.value() or b"", headers)
        await self.producer.publish_records([letter])
        self.metrics.dead_letters.labels(self.service, topic.name).inc()
        log.warning("%s/%s@%s set aside: %s", *place, reason)
