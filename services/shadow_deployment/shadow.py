"""The shadow: a candidate answers what the champion answered, at its own pace, seen by no user."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.shadow_deployment.candidate_preparation import CandidatePreparation
from services.shadow_deployment.candidate_waits import CandidateWaits
from services.shadow_deployment.champion_check import LOOK_SECONDS, ChampionCheck
from services.shadow_deployment.champion_history import superfluous
from services.shadow_deployment.contract_migration import ContractMigration
from services.shadow_deployment.judging import Judging
from services.shadow_deployment.lost_champion import Finding
from services.shadow_deployment.pairing import Pairing
from services.shadow_deployment.settings import Settings
from services.shadow_deployment.store import ShadowStore
from services.shadow_deployment.unpaired_requests import Request, UnpairedRequests
from shared.adapters.loading import AdapterLoading
from shared.backoff import pause_seconds
from shared.broker import Publish
from shared.events import CandidateEvaluated, WorkloadAdded
from shared.label_scoring import LabelScoring
from shared.model_server import ModelServer, ModelServerDown
from shared.projections import Workloads
from shared.service import Clock

log = logging.getLogger(__name__)


@dataclass
class Shadow:
    store: ShadowStore
    unpaired: UnpairedRequests
    publish: Publish
    clock: Clock
    workloads: Workloads
    judging: Judging
    models: ModelServer
    loading: AdapterLoading
    contracts: ContractMigration
    champions: ChampionCheck
    settings: Settings
    wake: asyncio.Event
    """Set when there is a new candidate, or when an adapter may have become superfluous."""
    _pairing: Pairing = field(init=False)
    _waits: CandidateWaits = field(init=False)
    _preparation: CandidatePreparation = field(init=False)
    _has_candidates: bool = True
    _tidies_at: float = math.inf
    """When, by the monotonic clock, it is due without being told."""

    def __post_init__(self) -> None:
        self._pairing = Pairing(LabelScoring(self.models), self.clock, self.settings.concurrency)
        self._waits = CandidateWaits(self.store, self.clock)
        self._preparation = CandidatePreparation(
            self.store, self.publish, self.clock, self.judging, self.loading, self._waits
        )
        self.wake.set()

    async def run_for_ever(self) -> None:
        failures = 0
        while True:
            try:
                worked_seconds = await self.work_once()
            except ModelServerDown as error:
                failures += 1
                log.warning("the shadow pauses: %s", error)
                await self._waits.note_all(str(error))
                await asyncio.sleep(pause_seconds(failures))
                continue
            failures = 0
            if worked_seconds:
                await asyncio.sleep(worked_seconds * self.settings.rest_per_work)
                continue
            # Requests to answer come without a word, but only to a candidate.
            patience = self.settings.poll_seconds if self._has_candidates else math.inf
            patience = min(patience, self._tidies_at - time.monotonic())
            with suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), None if patience == math.inf else patience)

    async def work_once(self) -> float:
        """One batch for every workload that has a candidate; the seconds it took, 0 if nothing was there."""
        started = time.monotonic()
        if self.wake.is_set() or started >= self._tidies_at:
            self.wake.clear()
            try:
                await self._tidy()
            except Exception:
                self.wake.set()
                raise
        workloads = await self.store.workloads_with_work()
        self._has_candidates = bool(workloads)
        steps = (self._step(workload) for workload in workloads)
        worked = await asyncio.gather(*steps, return_exceptions=True)
        for outcome in worked:
            if isinstance(outcome, BaseException):
                raise outcome  # only now: one workload's trouble does not stop the others
        return time.monotonic() - started if any(worked) else 0.0

    async def _step(self, workload: str) -> bool:
        candidate = await self.judging.consider(workload)
        added = self.workloads.known(workload)
        if candidate is None:
            return False
        if candidate.champion is None:
            await self._judge_without_champion(candidate)
            return False
        asked_by = await self._preparation.prepare(candidate, added)
        if asked_by is None or await self._is_judged_for_a_loss(candidate, candidate.champion):
            return False
        limit, requests = await self._room(candidate, added), list[Request]()
        if limit:
            requests = await self.unpaired.first(
                candidate,
                candidate.champion,
                limit,
                self.clock(),
                skipped=self._pairing.cannot_be_asked[workload],
            )
        made = await self._pairing.pairs(candidate, candidate.champion, added, asked_by, requests)
        if made.is_forgotten:
            self._preparation.forget(workload)
        if made.error is not None:
            raise made.error
        await self._waits.go_on(candidate)
        if not made.pairs:
            return False
        await self.store.keep_pairs(made.pairs)
        await self.publish(*made.pairs)
        await self.judging.consider(workload)
        return True

    async def _judge_without_champion(self, candidate: CandidateEvaluated) -> None:
        """After what has no contract was given one: only then is a champion without one refused."""
        history = await self.store.history(candidate.workload)
        if not history or self._preparation.is_to_wait(candidate):
            return
        refused_since = candidate.evaluated_at if candidate.scorecard.champion_refused else None
        found = await self._look_at_champion(candidate, await self.models.loaded(), refused_since)
        if found is None:
            return
        if found.error is not None and not found.is_lost:
            await self._preparation.wait(candidate, found.error)
            return
        self._preparation.went_well(candidate)
        await self.judging.without_champion(candidate, found.adapter, found.refusal)

    async def _is_judged_for_a_loss(self, candidate: CandidateEvaluated, champion: str) -> bool:
        """Where a lost champion answers no more requests, there is nothing to wait for in the shadow.

        It is looked at once more: it may have been restored, and its server started anew for that.
        """
        if not self.champions.why_lost(candidate.workload, champion):
            return False
        loaded = await self.models.loaded()
        if champion in loaded:
            return False
        found = await self._look_at_champion(candidate, loaded)
        if found is None or not found.is_lost:
            return found is None
        await self.judging.without_champion(candidate, found.adapter, found.refusal)
        return True

    async def _look_at_champion(
        self,
        candidate: CandidateEvaluated,
        loaded: Collection[str],
        refused_since: datetime | None = None,
    ) -> Finding | None:
        """None: it cannot be known now, and the candidate waits."""
        try:
            return await self.champions.look_at(candidate.workload, loaded, refused_since)
        except OSError as error:
            await self._preparation.wait(candidate, error)
            return None

    async def _room(self, candidate: CandidateEvaluated, workload: WorkloadAdded) -> int:
        """How many pairs may be recorded now: 0 when there are enough, or while reviewers fall behind."""
        patience = timedelta(seconds=self.settings.review_patience_seconds)
        pairs, waiting = await self.store.pair_counts(
            candidate.workload,
            candidate.run_id,
            self.clock() - patience,
            self.judging.reviews_of_a_pair(),
        )
        if waiting >= self.settings.most_waiting:
            return 0
        return max(0, min(self.settings.batch, workload.definition.promotion.max_pairs - pairs))

    async def _tidy(self) -> None:
        """Gives what has no contract one; looks at the champions; unloads who was judged or of long ago."""
        pause = await self.contracts.migrate()
        self._tidies_at = time.monotonic() + min(LOOK_SECONDS, math.inf if pause is None else pause)
        loaded = await self.models.loaded()
        await self.champions.look(loaded)
        for added in self.workloads.all():
            settled = await self.store.adapters(added.name)
            history = await self.store.history(added.name)  # after: what is settled has its revision
            in_shadow = {name for name, is_settled in settled.items() if not is_settled}
            for name in superfluous(loaded, settled, history, in_shadow):
                await self.models.unload_adapter(name)
