"""Starts cycles: decides whether one may start, freezes what is known at its cutoff, and keeps it."""

from __future__ import annotations

import asyncio
from asyncio import sleep
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.workloads.correction_store import CorrectionStore
from services.workloads.cycle_files import cycle_file
from services.workloads.may_start_cycle import Refusal, why_not
from services.workloads.round_progress import Round, of_cycle
from services.workloads.rounds import Rounds
from services.workloads.settings import Settings
from services.workloads.store import WorkloadStore
from shared.events import CycleStarted, WorkloadAdded, derived_id
from shared.files import Files
from shared.service import Clock
from shared.workload import Workload


@dataclass(frozen=True)
class Cycles:
    store: WorkloadStore
    corrections: CorrectionStore
    rounds: Rounds
    files: Files
    clock: Clock
    settings: Settings
    on_stored: Callable[[], None]
    """Called when there is something to publish."""
    _locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def start(
        self,
        added: WorkloadAdded,
        requested_by: str,
        reason: str,
        cycle_id: str | None = None,
        cutoff: datetime | None = None,
    ) -> CycleStarted | Refusal:
        """One cycle at a time: who asks while another starts is told that it is under way.

        Its lists are drawn up a little after the cutoff, so that corrections on their way then count.
        """
        at = cutoff or self.clock()
        async with self._locks[added.name]:
            await self.rounds.refresh()
            for one in await self.store.unpublished_cycles():  # kept, and perhaps no more than that
                if one.workload == added.name:
                    self.on_stored()
                    await self.rounds.begin(round_of(one))
            # Whether there is anything to learn from may change during the grace, so it is asked after it.
            if refusal := why_not(self.rounds.under_way(added.name), 1, is_retired=added.is_retired):
                return refusal
            grace = self.settings.grace_seconds
            await sleep(min(max((at - self.clock()).total_seconds() + grace, 0.0), grace))
            since = await self.corrections.corrections_since(added.name)
            under_way = self.rounds.under_way(added.name)
            if refusal := why_not(under_way, since.since_promoted, is_retired=added.is_retired):
                return refusal
            started = await self._freeze(
                added, cycle_id or derived_id("cycle", added.name, at.isoformat()), at, requested_by, reason
            )
            await self.store.keep_cycle(started, is_published=False)
            self.on_stored()  # whatever becomes of the rest: who publishes it begins its round, too
            await self.rounds.begin(round_of(started))
            return started

    async def _freeze(
        self, added: WorkloadAdded, cycle_id: str, cutoff: datetime, requested_by: str, reason: str
    ) -> CycleStarted:
        name = added.name
        failures = await self.corrections.failures_at(
            name, cutoff - timedelta(seconds=self.settings.window_seconds), cutoff
        )
        corrections = await self.corrections.corrections_at(name, cutoff)
        return CycleStarted(
            cycle_id=cycle_id,
            workload=name,
            revision=added.revision,
            cutoff=cutoff,
            failures=await asyncio.to_thread(
                self.files.freeze_rows,
                cycle_file(name, cycle_id, "failures-at-cutoff"),
                failures_now(failures, added.definition),
            ),
            corrections=await asyncio.to_thread(
                self.files.freeze_rows,
                cycle_file(name, cycle_id, "corrections"),
                corrections_now(corrections, added.definition),
            ),
            reason=reason,
            requested_by=requested_by,
            started_at=self.clock(),
        )


def round_of(started: CycleStarted) -> Round:
    """The round that a cycle is."""
    return of_cycle(
        started.workload,
        started.cycle_id,
        started.failures.rows,
        started.corrections.rows,
        started.revision,
    )


def corrections_now(rows: list[dict[str, str]], workload: Workload) -> list[dict[str, str]]:
    """With each label's name of now; corrections to a label that was removed are left out."""
    present = ((row, workload.present_label(row["right_answer"])) for row in rows)
    return [row | {"right_answer": label} for row, label in present if label is not None]


def failures_now(rows: list[dict[str, str]], workload: Workload) -> list[dict[str, str]]:
    """Like `corrections_now`. A wrong answer stays what it was, even if it is no label any more."""
    now = []
    for row in rows:
        right_answer = workload.present_label(row["right_answer"]) if row["right_answer"] else ""
        if right_answer is not None:
            now.append(row | {"answer": workload.present_name(row["answer"]), "right_answer": right_answer})
    return now
