"""From an alias that was moved to the adapter that answers: fetched, proved, loaded, tried, then live."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from dataclasses import dataclass, field

from services.model_gateway.champion_alias import ChampionAlias
from services.model_gateway.metrics import Metrics
from shared.adapters.contract import AdapterContract
from shared.adapters.label_contract import LabelContract
from shared.adapters.loading import AdapterLoading
from shared.adapters.refusals import AdapterRefused, NotForThisServer
from shared.events import FrozenAdapter, ModelPromoted, ModelRolledBack, now
from shared.label_scoring import LabelScoring
from shared.model_server import ModelServer, ModelServerDown, ModelServerRefused, PromptTooLong, UnknownModel

PAUSE_SECONDS = (
    1.0  # before an adapter that could not be loaded is tried again; its predecessor answers meanwhile
)
NOT_NOW = (
    ModelServerDown,
    ModelServerRefused,
    NotForThisServer,
    UnknownModel,
    PromptTooLong,
    OSError,
    TimeoutError,
)

log = logging.getLogger(__name__)


@dataclass
class AliasSwitch:
    """Works beside the answers and never in their way."""

    alias: ChampionAlias
    loading: AdapterLoading
    models: ModelServer
    scoring: LabelScoring
    metrics: Metrics
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _consumed_at: dict[str, float] = field(default_factory=dict)
    _refused: dict[str, int] = field(default_factory=dict)
    _loading: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    def apply(self, event: ModelPromoted | ModelRolledBack) -> None:
        if self.alias.champions.apply(event):
            self._consumed_at[event.workload] = time.monotonic()
            self.look_again()

    def look_again(self) -> None:
        self._wake.set()

    async def run_for_ever(self) -> None:
        while True:
            self._wake.clear()
            if await self.switch_to_what_is_wanted():
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                await self._wake.wait()

    async def switch_to_what_is_wanted(self) -> int:
        """Tries every champion that does not serve yet; gives how many could not be loaded for now."""
        wanted = [
            event for event in self.alias.wanted() if self._refused.get(event.workload) != event.revision
        ]
        return sum(await asyncio.gather(*(self._load_and_switch(event) for event in wanted)))

    async def load(self, adapter: FrozenAdapter) -> AdapterContract:
        """Makes the model server answer by this adapter, and says how it is asked.

        Raises AdapterRefused, and for now: FileNotFoundError and whatever ModelServer raises.
        """
        async with self._loading[adapter.name]:
            return await self.loading.load(adapter)

    async def load_again(self, adapter: FrozenAdapter) -> None:
        """Like `load`, for an adapter that answered before: of many requests that miss it, one loads it."""
        async with self._loading[adapter.name]:
            if adapter.name not in await self.models.loaded():
                await self.loading.load(adapter)

    async def _load_and_switch(self, event: ModelPromoted | ModelRolledBack) -> bool:
        """True if it could not be loaded for now, and is to be tried again."""
        name = event.champion.name
        try:
            contract = await self.load(event.champion)
            await self._try_out(event, contract)
        except NOT_NOW as error:
            log.error("%s: %s cannot answer yet, the old champion stays: %s", event.workload, name, error)
            self.metrics.switches.labels(event.workload, "late").inc()
            return True
        except AdapterRefused as error:
            log.error("%s: REFUSED as champion, the old one stays: %s", event.workload, error)
            self._refused[event.workload] = event.revision
            self.metrics.switches.labels(event.workload, "refused").inc()
            return False
        await self._switch(event, contract)
        return False

    async def _try_out(self, event: ModelPromoted | ModelRolledBack, contract: AdapterContract) -> None:
        """One answer to nobody: the first pass through new weights is slow, and it proves they answer."""
        workload = self.alias.workloads.get(event.workload)
        assert workload is not None, "only champions of known workloads are wanted"
        title = workload.definition.title
        await self.scoring.answer(event.champion.name, LabelContract.of(contract), title)

    async def _switch(self, event: ModelPromoted | ModelRolledBack, contract: AdapterContract) -> None:
        unneeded = self.alias.switch_to(event, contract)
        seconds = time.monotonic() - self._consumed_at[event.workload]
        self.metrics.switches.labels(event.workload, "switched").inc()
        self.metrics.switch_seconds.labels(event.workload).observe(seconds)
        log.info(
            "%s: %s answers from now on, %.3f s after its event came and %.1f s after the alias was moved",
            event.workload,
            event.champion.name,
            seconds,
            (now() - event.happened_at()).total_seconds(),
        )
        await self.alias.keep()
        if unneeded is not None:
            try:
                await self.models.unload_adapter(unneeded)
            except (ModelServerDown, ModelServerRefused) as error:  # it costs memory there and nothing else
                log.warning("%s could not be unloaded: %s", unneeded, error)
