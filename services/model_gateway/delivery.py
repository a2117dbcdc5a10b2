"""Publishes the outbox's records, in order and in batches. While Kafka is away they wait on the disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from services.model_gateway.outbox import Outbox
from shared.broker import Publish
from shared.events import PredictionLogged

GATHERING_SECONDS = 0.05  # what comes in meanwhile goes in one batch, with one note of the place

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Delivery:
    outbox: Outbox
    publish: Publish

    async def run_for_ever(self) -> None:
        """Raises what `publish` raises; the next run publishes the same batch again, under the same ids."""
        while True:
            lines, after = self.outbox.read(self.outbox.published)
            if lines:
                await self.publish(*self._records(lines))
                await self.outbox.mark_published(after)
            else:
                await self.outbox.wait()
                await asyncio.sleep(GATHERING_SECONDS)

    def _records(self, lines: Sequence[bytes]) -> list[PredictionLogged]:
        records = []
        for line in lines:
            try:
                records.append(PredictionLogged.model_validate_json(line))
            except ValidationError:
                log.error("the outbox holds a line that is no record; it is kept in the file 'damaged'")
                self.outbox.set_aside(line)
        return records
