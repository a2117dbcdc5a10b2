"""Brings verdicts about: asks the pure function, keeps what it says, says it, and moves the flag.

One workload's decisions are taken one after the other; this process is the only writer of the flag.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from services.shadow_deployment.flag import promoted, rolled_back
from services.shadow_deployment.store import ShadowStore
from services.shadow_deployment.verdict import Judgement, judge, settle
from shared.broker import Say
from shared.events import CandidateEvaluated, CandidateJudged, RollbackRequested, Verdict
from shared.service import Clock
from shared.standing import Workloads
from shared.workload import Promotion

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judging:
    store: ShadowStore
    say: Say
    clock: Clock
    workloads: Workloads
    on_settled: Callable[[], None]
    """Called when a candidate or a champion went: the model server may have an adapter too many."""
    _locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def consider(self, workload: str) -> CandidateEvaluated | None:
        """Says what was decided and not yet said, decides what can be decided; who stays in the shadow?"""
        async with self._locks[workload]:
            await self._say_what_is_unsaid(workload)
            added = self.workloads.get(workload)
            if added is None:
                return None  # its definition is on its way
            waiting = await self.store.waiting(workload)
            if not waiting:
                return None
            *older, newest = waiting
            for candidate in older:
                reason = f"It is superseded by {newest.candidate.name}, which was evaluated after it."
                await self._settle(candidate, Verdict.HOLD, reason, added.definition.promotion)
            return await self._decide(newest, added.definition.promotion)

    async def reject(self, candidate: CandidateEvaluated, reason: str, promotion: Promotion) -> None:
        """Rejects a candidate that cannot even be tried."""
        async with self._locks[candidate.workload]:
            waiting = await self.store.waiting(candidate.workload)
            if candidate.run_id in {event.run_id for event in waiting}:
                await self._settle(candidate, Verdict.REJECT, reason, promotion)

    async def roll_back(self, event: RollbackRequested) -> None:
        """The champion before the current one answers again; the same request changes nothing again."""
        async with self._locks[event.workload]:
            await self._say_what_is_unsaid(event.workload)  # a promotion under way comes first
            history = await self.store.history(event.workload)
            if event.request_id not in {reign.request_id for reign in history}:
                if await self.store.was_in_vain(event):
                    return
                reign = rolled_back(history, event, self.clock())
                if reign is None:
                    await self.store.keep_rollback_in_vain(event)
                    log.warning("%s: rollback requested, but there is no earlier champion", event.workload)
                    return
                await self.store.keep_reign(reign)
                await self._say_what_is_unsaid(event.workload)
        await self.consider(event.workload)

    async def _decide(self, candidate: CandidateEvaluated, promotion: Promotion) -> CandidateEvaluated | None:
        history = await self.store.history(candidate.workload)
        champion = history[-1].champion.name if history else None
        if champion == candidate.candidate.name:
            reason = "It is the champion itself: training on this dataset gave the very same adapter."
            await self._settle(candidate, Verdict.HOLD, reason, promotion)
            return None
        if champion != candidate.champion:
            reason = (
                f"Its champion changed: it was evaluated against {candidate.champion or 'none'}, and "
                f"{champion or 'none'} answers now. Start a cycle to train against the present one."
            )
            await self._settle(candidate, Verdict.HOLD, reason, promotion)
            return None
        pairs = await self.store.pairs(candidate.workload, candidate.run_id)
        elapsed = self.clock() - candidate.evaluated_at
        judgement = judge(candidate.scorecard, champion, pairs, promotion, elapsed)
        if judgement is None:
            return candidate
        await self._conclude(candidate, judgement)
        return None

    async def _settle(
        self, candidate: CandidateEvaluated, verdict: Verdict, reason: str, promotion: Promotion
    ) -> None:
        pairs = await self.store.pairs(candidate.workload, candidate.run_id)
        await self._conclude(candidate, settle(verdict, reason, pairs, promotion))

    async def _conclude(self, candidate: CandidateEvaluated, judgement: Judgement) -> None:
        event = CandidateJudged(
            run_id=candidate.run_id,
            workload=candidate.workload,
            dataset_id=candidate.dataset_id,
            cycle_id=candidate.cycle_id,
            candidate=candidate.candidate,
            champion=candidate.champion,
            verdict=judgement.verdict,
            reason=judgement.reason,
            evidence=judgement.evidence,
            guardrails=judgement.guardrails,
            judged_at=self.clock(),
        )
        await self.store.keep_verdict(event, is_said=False)
        await self._say_what_is_unsaid(candidate.workload)

    async def _say_what_is_unsaid(self, workload: str) -> None:
        """Stored, then said, then marked as said: killed in between, all of it happens again from here."""
        unsaid = await self.store.unsaid_verdicts(workload)
        for judged in unsaid:
            if judged.verdict is Verdict.PROMOTE:
                await self._raise_flag(judged)
        reigns = [reign for reign in await self.store.history(workload) if not reign.is_said]
        if not unsaid and not reigns:
            return
        await self.say(*unsaid, *(reign.event() for reign in reigns))
        for judged in unsaid:
            await self.store.keep_verdict(judged, is_said=True)
        for reign in reigns:
            await self.store.keep_reign(replace(reign, is_said=True))
        self.on_settled()

    async def _raise_flag(self, judged: CandidateJudged) -> None:
        history = await self.store.history(judged.workload)
        if judged.run_id in {reign.run_id for reign in history}:
            return
        await self.store.keep_reign(promoted(history, judged))
