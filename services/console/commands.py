"""What pages and HTTP share: the workloads, who is champion, the views, and what people may say."""

from __future__ import annotations

from dataclasses import dataclass

from services.console.cycle_status import Snapshot
from services.console.feed import Feed
from services.console.review_client import ReviewClient
from services.console.store import ConsoleStore
from shared.broker import Publish
from shared.events import CycleRequested, ModelPromoted, ModelRolledBack, RollbackRequested
from shared.events.envelope import derived_id
from shared.projections import Champions, Workloads
from shared.service import Clock
from shared.workload import Workload


@dataclass(frozen=True)
class Commands:
    workloads: Workloads
    champions: Champions
    feed: Feed
    store: ConsoleStore
    reviews: ReviewClient
    publish: Publish
    clock: Clock

    async def snapshot(self, definition: Workload) -> Snapshot:
        """Raises TablesDoNotAnswer."""
        held = self._flag(definition.name)
        champion = held.champion.name if held else ""
        return await self.store.snapshot(
            definition, champion, held.happened_at() if held else None, self.clock()
        )

    def can_roll_back(self, workload: str) -> bool:
        """False when no adapter answered before: then shadow_deployment has nothing to bring back."""
        held = self._flag(workload)
        return isinstance(held, ModelPromoted) and held.previous is not None

    async def start_cycle(self, workload: str, requested_by: str, reason: str) -> str:
        """Publishes CycleRequested with the cut at this moment; returns the cycle's id."""
        cut = self.clock()
        cycle_id = derived_id("cycle", workload, cut.isoformat(), requested_by)
        await self.publish(
            CycleRequested(
                cycle_id=cycle_id, workload=workload, cut=cut, reason=reason, requested_by=requested_by
            )
        )
        return cycle_id

    async def roll_back(self, workload: str, requested_by: str, reason: str) -> str:
        """Publishes RollbackRequested; returns the request's id."""
        at = self.clock()
        request_id = derived_id("rollback", workload, at.isoformat(), requested_by)
        await self.publish(
            RollbackRequested(
                request_id=request_id,
                workload=workload,
                reason=reason,
                requested_by=requested_by,
                requested_at=at,
            )
        )
        return request_id

    def _flag(self, workload: str) -> ModelPromoted | ModelRolledBack | None:
        return next((one for one in self.champions.all() if one.workload == workload), None)
