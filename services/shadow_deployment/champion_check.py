"""Whether whoever is to answer users can be loaded: a champion that is lost is kept as such, and said.

Nobody else would find out before a model server has forgotten it, and then only its users would.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from services.shadow_deployment.champion_history import AliasRevision, way_back
from services.shadow_deployment.contract_migration import ContractMigration
from services.shadow_deployment.lost_champion import REFUSED, Finding, refused, sentence
from services.shadow_deployment.store import ShadowStore
from shared.adapters.loading import AdapterLoading
from shared.adapters.refusals import AdapterRefused, NotForThisServer
from shared.backoff import SaysSeldom
from shared.events import FrozenAdapter
from shared.model_server import ModelServerDown, ModelServerRefused, UnknownModel
from shared.projections import Workloads
from shared.service import Clock

FOR_NOW = (NotForThisServer, ModelServerRefused, UnknownModel)
"""Why a model server does not take an adapter, that another server may make good."""
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

    async def load(self, champion: FrozenAdapter) -> None:
        """Raises like `AdapterLoading.load`, and why it has no contract while it waits for one."""
        self._has_contract_or_gets_none(champion)
        await self.loading.load(champion)

    def _has_contract_or_gets_none(self, champion: FrozenAdapter) -> None:
        if (error := self.contracts.waiting.get(champion.name)) is not None:
            raise error

    def why_lost(self, workload: str, champion: str) -> str:
        """Why that champion can be loaded no more; empty: as far as is known it can."""
        found = self._found.get(workload)
        if found is None or not found.is_lost or found.adapter.name != champion:
            return ""
        return found.refusal

    async def look(self, loaded: Collection[str]) -> None:
        """At every workload's champion that was not looked at lately; `loaded` is on the model server."""
        for added in self.workloads.all():
            if not added.is_retired:
                await self.look_at(added.name, loaded)

    async def look_at(self, workload: str, loaded: Collection[str]) -> None:
        """As `look`, at the champion of one."""
        history = await self.store.history(workload)
        if not history:
            return
        champion, before = history[-1].champion, self._found.get(workload)
        if before is not None and before.adapter != champion:
            before = None
        is_loaded = champion.name in loaded
        if before is not None and is_loaded and before.is_fresh(self.clock()):
            return
        found = await self._looked_at(champion, before, is_loaded=is_loaded)
        if found is not None:
            self._found[workload] = found
            await self._tell(workload, history, found)

    async def _looked_at(
        self, champion: FrozenAdapter, before: Finding | None, *, is_loaded: bool
    ) -> Finding | None:
        """None: it cannot be known now."""
        now = self.clock()
        try:
            self._has_contract_or_gets_none(champion)
            await self.loading.contract_of(champion, as_stored=True)
            if not is_loaded:
                await self.loading.load(champion)
        except REFUSED as error:
            return refused(champion, now, error, before.since if before else None)
        except (ModelServerDown, OSError) as error:
            log.warning("whether %s can be loaded is not known: %s", champion.name, error)
            return None
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
