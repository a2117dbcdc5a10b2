"""When an app may be told that its events are kept: Kafka has them, or this machine's disk has."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from confluent_kafka import KafkaException

from shared.backoff import SaysSeldom
from shared.events.envelope import Record
from shared.outbox import NotRecorded, Outbox

log = logging.getLogger(__name__)


class NotAccepted(Exception):
    """Neither Kafka nor the disk has them for sure. They may still arrive."""


class Acceptance:
    """Publishes in time, or leaves it to the outbox and its delivery.

    What comes in the same turn of the event loop goes together: under load one wait serves many requests, and
    without it nobody waits for others. Once Kafka was too slow, nobody waits for it again until it has
    confirmed something of the outbox.
    """

    def __init__(
        self,
        publish: Callable[[Sequence[Record]], Awaitable[None]],
        outbox: Outbox,
        publish_timeout_seconds: float,
    ) -> None:
        self._publish, self._outbox, self._seconds = publish, outbox, publish_timeout_seconds
        self._stalled_at = outbox.published
        self._gathering: list[Record] = []
        self._accepting: asyncio.Task[None] | None = None
        self._says = SaysSeldom()

    async def accept(self, records: Sequence[Record]) -> None:
        """Raises NotAccepted."""
        if self._accepting is None:
            self._accepting = asyncio.create_task(self._accept_gathered())
        self._gathering += records
        await asyncio.shield(self._accepting)

    async def _accept_gathered(self) -> None:
        """Runs first in the next turn of the loop."""
        records, self._gathering, self._accepting = self._gathering, [], None
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
            if self._says.is_due(str(error), time.monotonic()):
                log.error("neither Kafka nor the outbox takes events, and apps are told 503: %s", error)
            raise NotAccepted from error
