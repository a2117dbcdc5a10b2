"""What was answered and what users thought of it is stored; what somebody should look at is flagged.

A prediction and its feedback come in either order. Both handlers store first and look for the other side
afterwards, so at least one of them sees both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from services.prediction_logging.arrival_clock import ArrivalClock
from services.prediction_logging.first_writes import Key, first_writes, offset_spans
from services.prediction_logging.flags import FlagPolicy
from services.prediction_logging.invalid_predictions import why_invalid
from services.prediction_logging.meeting import Waiting, found_elsewhere, met
from services.prediction_logging.metrics import Metrics
from services.prediction_logging.reports import as_given, as_logged
from services.prediction_logging.store import PredictionStore, Stored
from shared.broker import Publish
from shared.consumer import ConsumerRecord, Invalid
from shared.events import (
    FeedbackGiven,
    FeedbackReported,
    FlagReason,
    PredictionFlagged,
    PredictionLogged,
    PredictionReported,
    WorkloadAdded,
)
from shared.lots import Lots
from shared.projections import Workloads
from shared.service import Clock


@dataclass(frozen=True)
class Handlers:
    store: PredictionStore
    publish: Publish
    clock: Clock
    workloads: Workloads
    metrics: Metrics
    lots: Lots
    on_stored: Callable[[int], None] = lambda count: None
    """Told how many predictions were stored."""
    arrivals: ArrivalClock = field(default_factory=ArrivalClock)

    async def on_workload_added(self, event: WorkloadAdded) -> None:
        self.workloads.apply(event)

    async def on_prediction_reported(self, consumed: list[ConsumerRecord[PredictionReported]]) -> None:
        await self.publish(*[as_logged(one.event) for one in consumed])

    async def on_feedback_reported(self, consumed: list[ConsumerRecord[FeedbackReported]]) -> None:
        await self.publish(*[as_given(one.event) for one in consumed])

    async def on_prediction_logged(self, consumed: list[ConsumerRecord[PredictionLogged]]) -> list[Invalid]:
        valid, invalid = self._sorted_out(consumed)
        good, conflicts = first_writes(valid)
        arrival = await self._keep(good)
        self.metrics.count_predictions(good)
        self.metrics.count_conflicts(conflicts)
        disliked = await self._feedback_that_waited(good, arrival)
        await self._flag([*self._looked_at(good), *map(self._disliked, disliked)])
        return [*invalid, *conflicts]

    async def on_feedback_given(self, consumed: list[ConsumerRecord[FeedbackGiven]]) -> None:
        events = [one.event for one in consumed]
        await self.store.keep_feedback(consumed)
        stored = {one.key: one for one in await self.store.stored(map(_key, events))}
        stored |= await self._wait(event for event in events if _key(event) not in stored)
        negative = {_key(event) for event in events if event.is_negative}
        await self._flag([self._disliked(one) for key, one in stored.items() if key in negative])

    def _sorted_out(
        self, consumed: Iterable[ConsumerRecord[PredictionLogged]]
    ) -> tuple[list[ConsumerRecord[PredictionLogged]], list[Invalid]]:
        """What fits the revision it was made under, and what is to be set aside."""
        labels = cache(self.workloads.labels)
        good: list[ConsumerRecord[PredictionLogged]] = []
        invalid: list[Invalid] = []
        for one in consumed:
            event = one.event
            reason = why_invalid(event, labels(event.workload, event.revision))
            if reason is None:
                good.append(one)
            else:
                invalid.append(Invalid(one, reason))
        return good, invalid

    async def _keep(self, good: Sequence[ConsumerRecord[PredictionLogged]]) -> int:
        """When they arrived: other batches may be stored at the same time."""
        spans = offset_spans(good)
        if not self.arrivals.goes_on(spans):
            self.arrivals.follow(await self.store.latest_arrival())
        arrival = self.arrivals.arrival(self.clock())
        await self.store.keep_predictions(good, arrival)
        self.arrivals.stored(spans)
        self.on_stored(len(good))
        return arrival

    async def _feedback_that_waited(
        self, good: Sequence[ConsumerRecord[PredictionLogged]], arrival: int
    ) -> list[PredictionLogged]:
        """Those of the predictions that were just stored of which negative feedback was there before."""
        if not good:
            return []
        waiting = await self.store.waiting_for({one.event.workload for one in good}, arrival)
        if not waiting:
            return []
        stored = {(one.event.workload, one.event.prediction_id): one.event for one in good}
        here = met(waiting, stored.keys())
        workload_of = {name: workload for workload, name in stored}
        elsewhere = found_elsewhere((one for one in waiting if one.key not in stored), workload_of)
        await self._note([*here, *elsewhere])
        return list({one.key: stored[one.key] for one in here if one.is_negative}.values())

    async def _wait(self, events: Iterable[FeedbackGiven]) -> dict[Key, Stored]:
        """Notes feedback whose prediction is not here, and looks again: it may have come meanwhile."""
        lonely = list(events)
        if not lonely:
            return {}
        workload_of = await self.store.workloads_of(
            (event.prediction_id for event in lonely), (one.name for one in self.workloads.all())
        )
        waiting = [Waiting.of(event, workload_of.get(event.prediction_id)) for event in lonely]
        await self.store.keep_waiting(waiting)
        stored = {one.key: one for one in await self.store.stored(one.key for one in waiting)}
        await self.store.keep_waiting(met(waiting, stored.keys()))
        self.metrics.show_unmatched(await self.store.unmatched())
        return stored

    async def _note(self, waiting: Sequence[Waiting]) -> None:
        if waiting:
            await self.store.keep_waiting(waiting)
            self.metrics.show_unmatched(await self.store.unmatched())

    def _looked_at(self, good: Iterable[ConsumerRecord[PredictionLogged]]) -> list[PredictionFlagged]:
        policies = {one.name: FlagPolicy.of(one, self.lots) for one in self.workloads.all()}
        return [
            self._flagged(one.event, reason)
            for one in good
            for reason in policies[one.event.workload].reasons(one.event)
        ]

    def _disliked(self, prediction: PredictionLogged | Stored) -> PredictionFlagged:
        return self._flagged(prediction, FlagReason.DISLIKED)

    def _flagged(self, prediction: PredictionLogged | Stored, reason: FlagReason) -> PredictionFlagged:
        return PredictionFlagged(
            prediction_id=prediction.prediction_id,
            workload=prediction.workload,
            predicted_at=prediction.predicted_at,
            adapter=prediction.credited,
            answer=prediction.answer,
            confidence=prediction.confidence,
            reason=reason,
            flagged_at=self.clock(),
        )

    async def _flag(self, flags: Sequence[PredictionFlagged]) -> None:
        await self.store.keep_flags(flags)
        await self.publish(*flags)
        self.metrics.count_flags(flags)


def _key(event: FeedbackGiven) -> Key:
    return event.workload, event.prediction_id
