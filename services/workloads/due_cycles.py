"""Starts each workload's cycle when it falls due: told by corrections, woken by the next due moment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.workloads.correction_store import CorrectionStore
from services.workloads.cycle_is_due import due_by_time, why_cycle_is_due
from services.workloads.cycles import Cycles
from services.workloads.may_start_cycle import Refusal
from services.workloads.rounds import Rounds
from shared.events import WorkloadAdded
from shared.projections import Workloads
from shared.service import Clock

AT_MOST = timedelta(days=1)  # asleep, so that a clock that was set is noticed
BETWEEN_LOOKS = timedelta(seconds=1)  # however many corrections come
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DueCycles:
    store: CorrectionStore
    cycles: Cycles
    rounds: Rounds
    workloads: Workloads
    clock: Clock
    owns: Callable[[str], bool]
    """Whether this process decides about a workload."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when corrections came, a round ended or a policy changed."""

    async def run_for_ever(self) -> None:
        while True:
            self.wake.clear()
            next_due = await self.start_due()
            until = AT_MOST if next_due is None else min(next_due - self.clock(), AT_MOST)
            try:
                await asyncio.wait_for(self.wake.wait(), max(until.total_seconds(), 0.1))
            except TimeoutError:
                continue
            await asyncio.sleep(BETWEEN_LOOKS.total_seconds())

    async def start_due(self) -> datetime | None:
        """Starts what is due; when the next one falls due by time alone, or None."""
        await self.rounds.refresh()
        moments = [
            await self._start_if_due(added)
            for added in self.workloads.all()
            if not added.is_retired and self.owns(added.name) and self.rounds.under_way(added.name) is None
        ]
        return min((moment for moment in moments if moment is not None), default=None)

    async def _start_if_due(self, added: WorkloadAdded) -> datetime | None:
        corrections = await self.store.corrections_since(added.name)
        since = corrections.last_cutoff or added.added_at
        policy, new = added.definition.cycle, corrections.since_last
        reason = why_cycle_is_due(policy, since, self.clock(), new)
        if reason is None:
            return due_by_time(policy, since, new)
        started = await self.cycles.start(added, "tuneloop", reason)
        if isinstance(started, Refusal):
            log.info("%s: a cycle is due and does not start: %s", added.name, started.reason)
        return None
