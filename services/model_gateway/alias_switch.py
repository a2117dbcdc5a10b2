"""From an alias that was moved to the adapter that answers: fetched, proved, loaded, tried, then live."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field

from services.model_gateway.champion_alias import ChampionAlias
from services.model_gateway.metrics import Metrics
from shared.adapters.contract import AdapterContract
from shared.adapters.label_contract import LabelContract
from shared.adapters.loading import AdapterLoading
from shared.adapters.refusals import AdapterRefused, NotForThisServer
from shared.backoff import Failures, SaysSeldom
from shared.events import FrozenAdapter, ModelPromoted, ModelRolledBack, now
from shared.label_scoring import LabelScoring
from shared.model_server import (
    AdapterNotFound,
    ModelServer,
    ModelServerDown,
    ModelServerRefused,
    PromptTooLong,
    UnknownModel,
)

LOOK_AGAIN_SECONDS = 1.0
"""Before a model server that was down is asked again whether it is back."""
NOT_NOW = (
    ModelServerDown,
    ModelServerRefused,
    NotForThisServer,
    UnknownModel,
    PromptTooLong,
    OSError,
    TimeoutError,
)
NOT_AGAIN_AT_ONCE = (AdapterRefused, AdapterNotFound, ModelServerRefused, OSError)
"""Nothing changes by itself from one request to the next, and finding out anew reads all files anew."""

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
    _tried: set[str] = field(default_factory=set)
    _failures: Failures = field(default_factory=Failures)
    """By the adapter's digest, whoever tried to load it."""
    _says: defaultdict[str, SaysSeldom] = field(default_factory=lambda: defaultdict(SaysSeldom))
    _loading: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    def apply(self, event: ModelPromoted | ModelRolledBack) -> None:
        if self.alias.champions.apply(event):
            self._consumed_at[event.workload] = time.monotonic()
            self.look_again()

    def look_again(self) -> None:
        self._wake.set()

    def failure(self, adapter: FrozenAdapter) -> Exception | None:
        """Why it could not be loaded the last time; None: nothing is known against it."""
        return self._failures.last(adapter.digest)

    async def run_for_ever(self) -> None:
        while True:
            self._wake.clear()
            pause = await self.switch_to_what_is_wanted()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)

    async def switch_to_what_is_wanted(self) -> float | None:
        """Tries every champion that is due and does not serve yet; the seconds until one is due again."""
        wanted = [
            event for event in self.alias.wanted() if self._refused.get(event.workload) != event.revision
        ]
        pauses = await asyncio.gather(*(self._load_and_switch(event) for event in wanted))
        return min((pause for pause in pauses if pause is not None), default=None)

    async def load(self, adapter: FrozenAdapter) -> AdapterContract:
        """Makes the model server answer by this adapter, and says how it is asked.

        Raises AdapterRefused, and for now: FileNotFoundError and whatever ModelServer raises.
        """
        async with self._loading[adapter.name]:
            return await self.loading.load(adapter)

    async def load_again(self, adapter: FrozenAdapter) -> None:
        """Like `load`, for an adapter that answered before: of many requests that miss it, one loads it.

        Where that failed, requests soon after get the same failure, and no file is read for them.
        """
        async with self._loading[adapter.name]:
            failure = self._failures.not_yet(adapter.digest, time.monotonic())
            if failure is not None:
                raise failure.with_traceback(None)  # or it would grow with every request
            if adapter.name in await self.models.loaded():
                return
            try:
                await self.loading.load(adapter)
            except NOT_AGAIN_AT_ONCE as error:
                self._failures.failed(adapter.digest, error, time.monotonic())
                raise
            self._failures.went_well(adapter.digest)

    async def _load_and_switch(self, event: ModelPromoted | ModelRolledBack) -> float | None:
        """The seconds until it is to be tried again, if it could not be loaded for now."""
        adapter = event.champion
        if pause := self._failures.seconds_left(adapter.digest, time.monotonic()):
            return pause
        try:
            if adapter.digest in self._tried:
                await self.models.loaded()  # while the server is down no files are read again
            self._tried.add(adapter.digest)
            contract = await self.load(event.champion)
            await self._try_out(event, contract)
        except NOT_NOW as error:
            return self._late(event, error)
        except AdapterRefused as error:
            log.error("%s: REFUSED as champion, the old one stays: %s", event.workload, error)
            self._refused[event.workload] = event.revision
            self._failures.failed(adapter.digest, error, time.monotonic())
            self.metrics.switches.labels(event.workload, "refused").inc()
            return None
        self._failures.went_well(adapter.digest)
        await self._switch(event, contract)
        return None

    def _late(self, event: ModelPromoted | ModelRolledBack, error: Exception) -> float:
        now, adapter = time.monotonic(), event.champion
        said = f"{adapter.name} cannot answer yet, the old champion stays: {error}"
        if self._says[event.workload].is_due(said, now):
            log.error("%s: %s", event.workload, said)
        self.metrics.switches.labels(event.workload, "late").inc()
        if isinstance(error, ModelServerDown) and not isinstance(error, AdapterNotFound):
            return LOOK_AGAIN_SECONDS
        self._failures.failed(adapter.digest, error, now)
        return self._failures.seconds_left(adapter.digest, now)

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
