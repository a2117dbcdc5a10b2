"""Whether whoever is to answer users can be loaded: a champion that is lost is kept as such, and said.

Nobody else would find out before a model server has forgotten it, and then only its users would.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.shadow_deployment.champion_history import AliasRevision, way_back
from services.shadow_deployment.contract_migration import ContractMigration
from services.shadow_deployment.lost_champion import REFUSED, Finding, refused, sentence
from services.shadow_deployment.store import ShadowStore
from shared.adapters.loading import AdapterLoading
from shared.adapters.refusals import AdapterRefused
from shared.backoff import SaysSeldom
from shared.events import FrozenAdapter
from shared.model_server import ModelServerDown
from shared.projections import Workloads
from shared.service import Clock

LOOK_SECONDS = 300.0
"""How often to look whether a champion is loaded; one that is not is loaded, or is lost."""

log = logging.getLogger(__name__)


@dataclass
class ChampionCheck:
    store: ShadowStore
    workloads: Workloads
    loading: AdapterLoading
    contracts: ContractMigration
    clock: Clock
    _found: dict[str, Finding] = field(default_factory=dict)
    _says: defaultdict[str, SaysSeldom] = field(default_factory=lambda: defaultdict(SaysSeldom))

    def why_lost(self, workload: str, champion: str) -> str:
        """Why that champion can be loaded no more; empty: as far as is known it can."""
        found = self._found.get(workload)
        if found is None or not found.is_lost or found.adapter.name != champion:
            return ""
        return found.refusal

    async def look(self, loaded: Collection[str]) -> None:
        """At every workload's champion that was not looked at lately; `loaded` is on the model server."""
        for added in self.workloads.all():
            history = [] if added.is_retired else await self.store.history(added.name)
            if not history or self._is_proved(added.name, history[-1].champion, loaded):
                continue
            try:
                await self._look(added.name, history, loaded)
            except (ModelServerDown, OSError) as error:
                log.warning("whether %s can be loaded is not known: %s", history[-1].champion.name, error)

    async def look_at(
        self, workload: str, loaded: Collection[str], refused_since: datetime | None = None
    ) -> Finding:
        """As `look`, at the champion that one has, and in any case.

        `refused_since` is when somebody else found it refused. Raises ModelServerDown and OSError while
        nothing can be known.
        """
        return await self._look(workload, await self.store.history(workload), loaded, refused_since)

    async def _look(
        self,
        workload: str,
        history: list[AliasRevision],
        loaded: Collection[str],
        refused_since: datetime | None = None,
    ) -> Finding:
        champion = history[-1].champion
        before = self._before(workload, champion)
        if before is None:
            was_lost = bool(await self.store.lost_champion(workload, champion))
            before = Finding(champion, self.clock(), is_lost=was_lost)
        if refused_since is not None:
            before = replace(before, since=min(before.since or refused_since, refused_since))
        found = await self._looked_at(before, is_loaded=champion.name in loaded)
        self._found[workload] = found
        await self._tell(workload, history, found)
        return found

    def _is_proved(self, workload: str, champion: FrozenAdapter, loaded: Collection[str]) -> bool:
        before = self._before(workload, champion)
        return before is not None and champion.name in loaded and before.is_fresh(self.clock())

    def _before(self, workload: str, champion: FrozenAdapter) -> Finding | None:
        found = self._found.get(workload)
        return found if found is not None and found.adapter == champion else None

    async def _looked_at(self, before: Finding, *, is_loaded: bool) -> Finding:
        champion, now = before.adapter, self.clock()
        try:
            if (error := self.contracts.waiting.get(champion.name)) is not None:
                raise error  # why it has no contract while it waits for one
            await self.loading.contract_of(champion, as_stored=True)
            if not is_loaded:
                await self.loading.load(champion)
        except REFUSED as error:
            return refused(before, now, error)
        return Finding(champion, now)

    async def _tell(self, workload: str, history: list[AliasRevision], found: Finding) -> None:
        said = ""
        if found.error is not None and not found.is_lost:
            return  # nothing is known anew, and it may have been lost before this process began
        if found.is_lost:
            said = sentence(workload, found, await self._way_back(workload, history))
            if self._says[workload].is_due(said, time.monotonic()):
                log.error("%s: %s", workload, said)
        if said != await self.store.lost_champion(workload, found.adapter):
            await self.store.keep_lost_champion(workload, found.adapter, said, found.at)

    async def _way_back(self, workload: str, history: Sequence[AliasRevision]) -> str | None:
        """The champion that a rollback would bring back, if its files are good."""
        if (back := way_back(history)) is None:
            return None
        name, copies = back.champion.name, await self.store.contracted(workload)
        try:
            await self.loading.contract_of(copies.get(name, back.champion), as_stored=True)
        except (AdapterRefused, OSError):
            return None
        return name
