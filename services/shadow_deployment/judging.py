"""Brings verdicts about: asks the pure function, keeps what it says, publishes it, and moves the alias.

One workload's decisions are taken one after the other; this process is the only writer of the alias.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from services.shadow_deployment.champion_history import AliasRevision, carried, promoted, rolled_back
from services.shadow_deployment.pair import Pair
from services.shadow_deployment.store import ShadowStore
from services.shadow_deployment.verdict import (
    Judgement,
    agreed_by,
    judge,
    judge_alone,
    settle,
    under_present_names,
)
from shared.broker import Publish
from shared.events import (
    CandidateEvaluated,
    CandidateJudged,
    FrozenAdapter,
    RollbackRequested,
    Scorecard,
    Verdict,
)
from shared.projections import Workloads
from shared.service import Clock
from shared.workload import Promotion

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judging:
    store: ShadowStore
    publish: Publish
    clock: Clock
    workloads: Workloads
    on_settled: Callable[[], None]
    """Called when a candidate or a champion went: the model server may have an adapter too many."""
    reviews_of_a_pair: Callable[[], int]
    """How many reviewers have to agree on a pair before it counts."""
    _locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def consider(self, workload: str) -> CandidateEvaluated | None:
        """Publishes what is pending, decides what can be decided; who stays in the shadow?"""
        async with self._locks[workload]:
            await self._publish_what_is_pending(workload)
            added = self.workloads.known(workload)
            waiting = await self.store.waiting(workload)
            if added.is_retired:
                for candidate in waiting:
                    reason = "Its workload was retired, and nobody asks it any more."
                    await self._settle(candidate, Verdict.HOLD, reason, added.definition.promotion)
                return None
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

    async def without_champion(
        self, candidate: CandidateEvaluated, champion: FrozenAdapter, refusal: str
    ) -> None:
        """Decides on a candidate that was evaluated against nobody while this champion is to answer.

        `refusal` says why the champion cannot be asked, by its own files or by the model server: there is
        nothing to compare with, or nothing more for one that was compared. Empty: it can, and the candidate
        has to be trained against it.
        """
        async with self._locks[candidate.workload]:
            waiting = await self.store.waiting(candidate.workload)
            history = await self.store.history(candidate.workload)
            if not waiting or waiting[-1] != candidate or history[-1].champion != champion:
                return  # meanwhile something else was decided: it is considered again
            promotion = self.workloads.known(candidate.workload).definition.promotion
            if refusal:
                why = f"{champion.name}, the champion, is refused: {refusal.rstrip('.')}."
                why += " So it is judged alone."
                await self._conclude(candidate, judge_alone(candidate.scorecard, promotion, why))
            elif candidate.scorecard.champion_refused:
                await self._hold_uncompared(candidate, champion.name, promotion)
            else:
                await self._hold_for_another(candidate, champion.name, promotion)

    async def carry(self, workload: str) -> None:
        """The alias moves to the copy of its champion that has a contract, if there is one."""
        async with self._locks[workload]:
            await self._publish_what_is_pending(workload)
            history = await self.store.history(workload)
            copies = await self.store.contracted(workload)
            if not history or (copy := copies.get(history[-1].champion.name)) is None:
                return
            revision = carried(history, copy)
            if revision is not None:
                await self.store.keep_alias_revision(revision)
                await self._publish_what_is_pending(workload)

    async def _with_contract(self, revision: AliasRevision) -> AliasRevision:
        """Who came without a contract answers by the copy that has one."""
        copies = await self.store.contracted(revision.workload)
        return replace(revision, champion=copies.get(revision.champion.name, revision.champion))

    async def roll_back(self, event: RollbackRequested) -> None:
        """The champion before the current one answers again; the same request changes nothing again."""
        async with self._locks[event.workload]:
            await self._publish_what_is_pending(event.workload)  # a promotion under way comes first
            history = await self.store.history(event.workload)
            if event.request_id not in {revision.request_id for revision in history}:
                if await self.store.was_in_vain(event):
                    return
                revision = rolled_back(history, event, self.clock())
                if revision is None:
                    await self.store.keep_rollback_in_vain(event)
                    log.warning("%s: rollback requested, but there is no earlier champion", event.workload)
                    return
                await self.store.keep_alias_revision(await self._with_contract(revision))
                await self._publish_what_is_pending(event.workload)
        await self.consider(event.workload)

    async def _decide(self, candidate: CandidateEvaluated, promotion: Promotion) -> CandidateEvaluated | None:
        history = await self.store.history(candidate.workload)
        champion = history[-1].champion.name if history else None
        if champion == candidate.candidate.name:
            reason = "It is the champion itself: training on this dataset gave the very same adapter."
            await self._settle(candidate, Verdict.HOLD, reason, promotion)
            return None
        if champion is not None and candidate.champion is None:
            return candidate  # whether the champion is refused is read from its files: see the shadow
        if champion != candidate.champion:
            await self._hold_for_another(candidate, champion, promotion)
            return None
        pairs = await self._pairs(candidate)
        elapsed = self.clock() - candidate.evaluated_at
        judgement = judge(self._scorecard(candidate), champion, pairs, promotion, elapsed)
        if judgement is None:
            return candidate
        await self._conclude(candidate, judgement)
        return None

    async def _hold_for_another(
        self, candidate: CandidateEvaluated, champion: str | None, promotion: Promotion
    ) -> None:
        reason = (
            f"Its champion changed: it was evaluated against {candidate.champion or 'none'}, and "
            f"{champion or 'none'} answers now. Start a cycle to train against the present one."
        )
        await self._settle(candidate, Verdict.HOLD, reason, promotion)

    async def _hold_uncompared(
        self, candidate: CandidateEvaluated, champion: str, promotion: Promotion
    ) -> None:
        reason = (
            f"It was compared with nobody: {candidate.scorecard.champion_refused} Now {champion} can be "
            "asked. Start a cycle to train against it."
        )
        await self._settle(candidate, Verdict.HOLD, reason, promotion)

    async def _settle(
        self, candidate: CandidateEvaluated, verdict: Verdict, reason: str, promotion: Promotion
    ) -> None:
        pairs = await self._pairs(candidate)
        await self._conclude(candidate, settle(verdict, reason, pairs, promotion))

    def _scorecard(self, candidate: CandidateEvaluated) -> Scorecard:
        """With the names of now of labels that the champion lacks, as the pairs have them."""
        card, definition = candidate.scorecard, self.workloads.known(candidate.workload).definition
        lacks = [definition.present_name(label) for label in card.champion_lacks]
        return card.model_copy(update={"champion_lacks": lacks})

    async def _pairs(self, candidate: CandidateEvaluated) -> list[Pair]:
        pairs = agreed_by(
            await self.store.pairs(candidate.workload, candidate.run_id), self.reviews_of_a_pair()
        )
        added = self.workloads.get(candidate.workload)
        return pairs if added is None else under_present_names(pairs, added.definition)

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
        await self.store.keep_verdict(event, is_published=False)
        await self._publish_what_is_pending(candidate.workload)

    async def _publish_what_is_pending(self, workload: str) -> None:
        """Stored, published, marked as published: killed in between, all of it happens again from here."""
        unpublished = await self.store.unpublished_verdicts(workload)
        for judged in unpublished:
            if judged.verdict is Verdict.PROMOTE:
                await self._move_alias(judged)
        revisions = [revision for revision in await self.store.history(workload) if not revision.is_published]
        if not unpublished and not revisions:
            return
        await self.publish(*unpublished, *(revision.event() for revision in revisions))
        for judged in unpublished:
            await self.store.keep_verdict(judged, is_published=True)
        for revision in revisions:
            await self.store.keep_alias_revision(replace(revision, is_published=True))
        self.on_settled()

    async def _move_alias(self, judged: CandidateJudged) -> None:
        history = await self.store.history(judged.workload)
        if judged.run_id in {revision.run_id for revision in history}:
            return
        revision = await self._with_contract(promoted(history, judged))
        await self.store.keep_alias_revision(revision)
