"""When an app may be told that its events are kept: Kafka has them, or this machine's disk has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from confluent_kafka import KafkaException

from shared.events.envelope import Record
from shared.outbox import NotRecorded, Outbox

log = logging.getLogger(__name__)


class NotAccepted(Exception):
    """Neither Kafka nor the disk has them for sure. They may still arrive."""


class Acceptance:
    """Publishes in time, or leaves it to the outbox and its delivery.

    Once Kafka was too slow, nobody waits for it again until it has confirmed something of the outbox.
    """

    def __init__(
        self,
        publish: Callable[[Sequence[Record]], Awaitable[None]],
        outbox: Outbox,
        publish_timeout_seconds: float,
    ) -> None:
        self._publish, self._outbox, self._seconds = publish, outbox, publish_timeout_seconds
        self._stalled_at = outbox.published

    async def accept(self, records: Sequence[Record]) -> None:
        """Raises NotAccepted."""
        if self._outbox.published != self._stalled_at or self._outbox.backlog_bytes == 0:
            try:
                async with asyncio.timeout(self._seconds):
                    await self._publish(records)
                return
            except (TimeoutError, KafkaException) as error:
                log.warning("Kafka did not confirm %d events: %s", len(records), error or "it took too long")
        try:
            stalled_at = self._outbox.published
            await self._outbox.append(records)
            self._stalled_at = stalled_at
        except NotRecorded as error:
            log.error("neither Kafka nor the outbox took %d events: %s", len(records), error)
            raise NotAccepted from error
