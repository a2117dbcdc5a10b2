"""What the service does on each event: remembers what cycles are made of, and follows their rounds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from services.workloads.audit_log import AuditLog
from services.workloads.correction_store import CorrectionStore
from services.workloads.cycles import Cycles
from services.workloads.may_start_cycle import Refusal
from services.workloads.round_progress import Milestone
from services.workloads.rounds import Rounds
from services.workloads.store import WorkloadStore
from shared.consumer import ConsumerRecord
from shared.events import (
    ActionAudited,
    CycleRequested,
    FlagReason,
    PredictionCorrected,
    PredictionFlagged,
    TrainingProgressed,
    WorkloadAdded,
)
from shared.projections import Workloads

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Handlers:
    store: WorkloadStore
    corrections: CorrectionStore
    workloads: Workloads
    rounds: Rounds
    cycles: Cycles
    due: asyncio.Event
    """Set when a cycle may have fallen due."""
    audit: AuditLog

    async def on_action_audited(self, batch: Sequence[ConsumerRecord[ActionAudited]]) -> None:
        await self.audit.keep(batch)

    async def on_workload_added(self, event: WorkloadAdded) -> None:
        """Adopts what version 0.1 published; of its own making it knows every revision already."""
        self.workloads.apply(event)
        if not await self.store.knows_revision(event.name, event.revision):
            await self.store.keep_revision(event, is_published=True)
        self.due.set()

    async def on_prediction_flagged(self, batch: Sequence[ConsumerRecord[PredictionFlagged]]) -> None:
        """An audit item was drawn by lot, which says nothing about the answer."""
        events = (consumed.event for consumed in batch)
        await self.corrections.keep_suspicions(
            event for event in events if event.reason is not FlagReason.AUDIT
        )

    async def on_prediction_corrected(self, batch: Sequence[ConsumerRecord[PredictionCorrected]]) -> None:
        await self.corrections.keep_corrections(consumed.event for consumed in batch)
        self.due.set()

    async def on_cycle_requested(self, event: CycleRequested) -> None:
        """Starts the cycle that version 0.1 asked for, unless it is known."""
        added = self.workloads.get(event.workload)
        if added is None or await self.store.knows_cycle(event.workload, event.cycle_id):
            return
        started = await self.cycles.start(
            added, event.requested_by, event.reason, event.cycle_id, cutoff=event.cut
        )
        if isinstance(started, Refusal):
            log.warning("cycle %s of %s does not start: %s", event.cycle_id, event.workload, started.reason)

    async def on_milestone(self, event: Milestone) -> None:
        await self.rounds.apply(event)

    async def on_training_progressed(self, event: TrainingProgressed) -> None:
        await self.rounds.apply_progress(event)
