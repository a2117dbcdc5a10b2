"""What the pages are made of: live events, views, and the services that decide."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.console.commands import Commands
from services.console.cycle_status import Snapshot
from services.console.feed import Feed
from services.console.review_client import ReviewClient
from services.console.store import ConsoleStore
from shared.access.principal import LOCAL_PRINCIPAL, Principal
from shared.access.roles import Verb
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
    visitor: Principal = LOCAL_PRINCIPAL
    """Who sits before the page."""
    name: str = ""
    """What they are called, if their provider says it: for their own eyes."""

    def for_visitor(self, visitor: Principal, session: str, name: str) -> Parts:
        """The same, as this visitor sees it and asks by it."""
        reviews, commands = replace(self.reviews, key=session), replace(self.commands, key=session)
        return replace(self, visitor=visitor, name=name, reviews=reviews, commands=commands)

    def shown(self) -> list[Workload]:
        """The workloads that are not retired and that the visitor may see, by name."""
        names = sorted(self.known.all(), key=lambda one: one.name)
        seen = [one for one in names if self.visitor.may(Verb.READ, one.name)]
        return [one.definition for one in seen if not one.is_retired]

    async def snapshot(self, definition: Workload) -> Snapshot:
        """Raises TablesDoNotAnswer."""
        held = next((one for one in self.champions.all() if one.workload == definition.name), None)
        champion = held.champion.name if held else ""
        since = held.happened_at() if held else None
        return await self.store.snapshot(definition, champion, since, self.clock())
