"""Once an hour: what arrived since the last audit is counted, and conflicts are set aside.

A prediction whose id had another content before is not shown, for the first write holds; that it was sent is
told by a dead letter that names its place in the log, and by a metric. Any process may audit, and two at once
do no harm: a slice that is counted again replaces itself, and the watermark only grows.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from services.prediction_logging.arrival_clock import ArrivalClock, nanoseconds
from services.prediction_logging.audit_slices import MOST_ROWS, SETTLED_NS, Slice, seconds_until_due, slices
from services.prediction_logging.audit_store import AuditStore
from services.prediction_logging.conflict_letters import Conflict
from services.prediction_logging.metrics import Metrics
from services.prediction_logging.store import PredictionStore
from shared.service import Clock

log = logging.getLogger(__name__)


@dataclass
class OpenRows:
    """How many predictions this process stored since it audited last."""

    count: int = 0
    are_many: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, count: int) -> None:
        self.count += count
        if self.count >= MOST_ROWS:
            self.are_many.set()

    def audited(self) -> None:
        self.count = 0
        self.are_many.clear()


@dataclass(frozen=True)
class Audit:
    store: AuditStore
    predictions: PredictionStore
    set_aside: Callable[[Sequence[Conflict]], Awaitable[None]]
    clock: Clock
    arrivals: ArrivalClock
    metrics: Metrics
    open_rows: OpenRows
    every_seconds: float

    async def run_for_ever(self) -> None:
        self.metrics.show_unmatched(await self.predictions.unmatched())
        while True:
            since = await self.store.audited_until()
            self.metrics.show_audited(since)
            now = max(nanoseconds(self.clock()), self.arrivals.latest)
            wait = seconds_until_due(since, now, self.every_seconds, self.open_rows.count)
            if not wait:
                await self.audit()
                continue
            with suppress(TimeoutError):  # processes that wait for the same moment do not wake at the same
                await asyncio.wait_for(self.open_rows.are_many.wait(), wait * (1 + random.random() / 10) + 1)

    async def audit(self) -> None:
        """Everything that is settled."""
        since = await self.store.audited_until()
        latest = max(nanoseconds(self.clock()), await self.predictions.latest_arrival())
        whole = Slice(since, latest - SETTLED_NS)
        for slice_ in slices(whole.since, whole.until, await self.store.minutes(whole)):
            await self._audit(slice_)
        await self.store.note_met()
        self.metrics.show_unmatched(await self.predictions.unmatched())
        self.open_rows.audited()

    async def _audit(self, slice_: Slice) -> None:
        """The watermark last: cut off before, all of it is done again."""
        await self.store.keep_counts(slice_)
        conflicts = await self.store.conflicts(slice_) if await self.store.repeats(slice_) else []
        if conflicts:
            log.warning("%d predictions had ids whose first write says something else", len(conflicts))
            await self.set_aside(conflicts)
        await self.store.keep_audited_until(slice_.until)
        for conflict in conflicts:
            self.metrics.count_conflict(conflict.workload)
        self.metrics.show_audited(slice_.until)
