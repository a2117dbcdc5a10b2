"""Asks a candidate what its champion was asked, several requests at once."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.shadow_deployment.unpaired_requests import Request
from shared.adapters.label_contract import LabelContract
from shared.events import CandidateEvaluated, ShadowPairRecorded, WorkloadAdded
from shared.label_scoring import LabelScoring
from shared.model_server import ModelServerRefused, PromptTooLong, UnknownModel
from shared.service import Clock

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Made:
    pairs: Sequence[ShadowPairRecorded]
    is_forgotten: bool
    """The model server does not know the candidate any more."""
    error: BaseException | None
    """Why another request could not be answered, if that is not why."""


@dataclass
class Pairing:
    scoring: LabelScoring
    clock: Clock
    concurrency: int
    cannot_be_asked: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Workload → requests that the model server will not take; tried again after a restart."""

    async def pairs(
        self,
        candidate: CandidateEvaluated,
        champion: str,
        workload: WorkloadAdded,
        asked_by: LabelContract,
        requests: Sequence[Request],
    ) -> Made:
        """Of the requests that could be answered. Raises nothing for the others."""
        at_once = asyncio.Semaphore(self.concurrency)

        async def pair(request: Request) -> ShadowPairRecorded | None:
            async with at_once:
                return await self._pair(candidate, champion, workload, asked_by, request)

        outcomes = await asyncio.gather(*(pair(request) for request in requests), return_exceptions=True)
        failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        others = [error for error in failed if not isinstance(error, UnknownModel)]
        return Made(
            [outcome for outcome in outcomes if isinstance(outcome, ShadowPairRecorded)],
            is_forgotten=len(others) < len(failed),
            error=others[0] if others else None,
        )

    async def _pair(
        self,
        candidate: CandidateEvaluated,
        champion: str,
        workload: WorkloadAdded,
        asked_by: LabelContract,
        request: Request,
    ) -> ShadowPairRecorded | None:
        """Both answers by their labels' names of now, so that the same answer is the same."""
        name = candidate.candidate.name
        try:
            scored = await self.scoring.answer(name, asked_by, request.input)
        except (PromptTooLong, ModelServerRefused) as error:
            log.warning("%s cannot be asked about %s: %s", name, request.prediction_id, type(error).__name__)
            self.cannot_be_asked[candidate.workload].add(request.prediction_id)
            return None

        present_name = workload.definition.present_name
        return ShadowPairRecorded(
            run_id=candidate.run_id,
            workload=candidate.workload,
            prediction_id=request.prediction_id,
            predicted_at=request.predicted_at,
            champion=champion,
            champion_answer=present_name(request.answer),
            champion_confidence=request.confidence,
            candidate=name,
            candidate_answer=present_name(scored.answer.label),
            candidate_confidence=scored.answer.confidence,
            recorded_at=self.clock(),
        )
