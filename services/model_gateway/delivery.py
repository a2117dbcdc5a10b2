"""Says the journal's records, in order and in batches. While Kafka is away they wait on the disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from services.model_gateway.journal import Journal
from shared.broker import Say
from shared.events import PredictionLogged

GATHERING_SECONDS = 0.05  # what comes in meanwhile goes in one batch, with one note of the place

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Delivery:
    journal: Journal
    say: Say

    async def run_for_ever(self) -> None:
        """Raises what `say` raises; the next run says the same batch again, under the same ids."""
        while True:
            lines, after = self.journal.read(self.journal.said)
            if lines:
                await self.say(*self._records(lines))
                await self.journal.mark_said(after)
            else:
                await self.journal.wait()
                await asyncio.sleep(GATHERING_SECONDS)

    def _records(self, lines: Sequence[bytes]) -> list[PredictionLogged]:
        records = []
        for line in lines:
            try:
                records.append(PredictionLogged.model_validate_json(line))
            except ValidationError:
                log.error("the journal holds a line that is no record; it is kept in the file 'damaged'")
                self.journal.set_aside(line)
        return records
