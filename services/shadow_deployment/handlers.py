"""What the shadow does on each event."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from services.shadow_deployment.judging import Judging
from services.shadow_deployment.store import ShadowStore
from shared.consumer import ConsumerRecord
from shared.events import CandidateEvaluated, PredictionCorrected, RollbackRequested, WorkloadAdded
from shared.projections import Workloads


@dataclass(frozen=True)
class Handlers:
    store: ShadowStore
    workloads: Workloads
    judging: Judging
    wake: asyncio.Event

    async def on_workload_added(self, event: WorkloadAdded) -> None:
        self.workloads.apply(event)
        self.wake.set()

    async def on_candidate_evaluated(self, event: CandidateEvaluated) -> None:
        await self.store.keep_candidate(event)
        await self.judging.consider(event.workload)
        self.wake.set()

    async def on_predictions_corrected(self, consumed: list[ConsumerRecord[PredictionCorrected]]) -> None:
        events = [one.event for one in consumed]
        await self.store.keep_right_answers(events)
        for workload in sorted({event.workload for event in events}):
            await self.judging.consider(workload)

    async def on_rollback_requested(self, event: RollbackRequested) -> None:
        await self.judging.roll_back(event)
