"""What the pages are made of: live events, views, and the services that decide."""

from __future__ import annotations

from dataclasses import dataclass

from services.console.commands import Commands
from services.console.cycle_status import Snapshot
from services.console.feed import Feed
from services.console.review_client import ReviewClient
from services.console.store import ConsoleStore
from shared.projections import Champions, Workloads
from shared.service import Clock
from shared.workload import Workload


@dataclass(frozen=True)
class Parts:
    known: Workloads
    champions: Champions
    feed: Feed
    store: ConsoleStore
    reviews: ReviewClient
    commands: Commands
    clock: Clock

    def shown(self) -> list[Workload]:
        """The workloads that are not retired, by name."""
        names = sorted(self.known.all(), key=lambda one: one.name)
        return [one.definition for one in names if not one.is_retired]

    async def snapshot(self, definition: Workload) -> Snapshot:
        """Raises TablesDoNotAnswer."""
        held = next((one for one in self.champions.all() if one.workload == definition.name), None)
        champion = held.champion.name if held else ""
        since = held.happened_at() if held else None
        return await self.store.snapshot(definition, champion, since, self.clock())
