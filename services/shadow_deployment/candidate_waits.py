"""Keeps since when a candidate waits for the model server, and why, for people to see."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.shadow_deployment.store import ShadowStore
from shared.events import CandidateEvaluated
from shared.service import Clock


@dataclass
class CandidateWaits:
    store: ShadowStore
    clock: Clock
    _told: dict[str, str] = field(default_factory=dict)
    """Run → why it waits, as this process told it; "" if it does not."""

    async def note(self, candidate: CandidateEvaluated, why: str) -> None:
        """Another reason does not begin it anew. The same one again changes nothing."""
        if self._told.get(candidate.run_id) == why:
            return
        since = await self.store.waits_since(candidate)
        if why or since is not None:
            at = self.clock()
            await self.store.keep_wait(candidate, since or at, why, at)
        self._told[candidate.run_id] = why

    async def go_on(self, candidate: CandidateEvaluated) -> None:
        """It waits no longer, if it did."""
        await self.note(candidate, "")

    async def note_all(self, why: str) -> None:
        """Of every workload the candidate that is to be tried."""
        for workload in await self.store.workloads_with_work():
            for newest in (await self.store.waiting(workload))[-1:]:
                await self.note(newest, why)
