"""What was answered and what users thought of it is stored; what somebody should look at is flagged.

A prediction and its feedback come in either order. Both handlers store first and look for the other side
afterwards, so at least one of them sees both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from services.prediction_logging.flags import reasons
from services.prediction_logging.invalid_predictions import why_invalid
from services.prediction_logging.metrics import Metrics
from services.prediction_logging.store import PredictionStore
from shared.broker import Publish
from shared.consumer import ConsumerRecord, Invalid
from shared.events import (
    Event,
    FeedbackGiven,
    FlagReason,
    PredictionFlagged,
    PredictionLogged,
    WorkloadAdded,
)
from shared.projections import Workloads
from shared.service import Clock

E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Handlers:
    store: PredictionStore
    publish: Publish
    clock: Clock
    workloads: Workloads
    metrics: Metrics

    async def on_workload_added(self, event: WorkloadAdded) -> None:
        self.workloads.apply(event)

    async def on_prediction_logged(self, consumed: list[ConsumerRecord[PredictionLogged]]) -> list[Invalid]:
        good, invalid = sorted_out(
            consumed, lambda event: why_invalid(event, self.workloads.labels(event.workload, event.revision))
        )
        await self.store.keep_predictions(good)
        self.metrics.count_predictions(one.event for one in good)
        disliked = await self.store.disliked((one.event.workload, one.event.prediction_id) for one in good)
        await self._flag([flag for one in good for flag in self._flags(one.event, disliked)])
        return invalid

    async def on_feedback_given(self, consumed: list[ConsumerRecord[FeedbackGiven]]) -> None:
        await self.store.keep_feedback(consumed)
        negative = [one.event for one in consumed if one.event.is_negative]
        stored = await self.store.stored((event.workload, event.prediction_id) for event in negative)
        moment = self.clock()
        await self._flag(
            [PredictionFlagged(**vars(one), reason=FlagReason.DISLIKED, flagged_at=moment) for one in stored]
        )

    def _flags(self, event: PredictionLogged, disliked: set[tuple[str, str]]) -> list[PredictionFlagged]:
        workload = self.workloads.known(event.workload)
        is_disliked = (event.workload, event.prediction_id) in disliked
        return [
            PredictionFlagged(
                prediction_id=event.prediction_id,
                workload=event.workload,
                predicted_at=event.predicted_at,
                adapter=event.adapter,
                answer=event.answer,
                confidence=event.confidence,
                reason=reason,
                flagged_at=self.clock(),
            )
            for reason in reasons(
                event, workload.definition.review, disliked=is_disliked, is_retired=workload.is_retired
            )
        ]

    async def _flag(self, flags: Sequence[PredictionFlagged]) -> None:
        await self.store.keep_flags(flags)
        await self.publish(*flags)
        self.metrics.count_flags(flags)


def sorted_out(
    consumed: Sequence[ConsumerRecord[E]], misfit_of: Callable[[E], str | None]
) -> tuple[list[ConsumerRecord[E]], list[Invalid]]:
    """What can be kept, and what is to be set aside."""
    good: list[ConsumerRecord[E]] = []
    invalid: list[Invalid] = []
    for one in consumed:
        reason = misfit_of(one.event)
        if reason is None:
            good.append(one)
        else:
            invalid.append(Invalid(one, reason))
    return good, invalid
