"""From flags and pairs to queue items, from reviews to corrections."""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from services.human_review.agreement import (
    Opinion,
    Outcome,
    State,
    outcome,
    reviews_wanted,
    under_present_names,
)
from services.human_review.blind_pair import blind_options
from services.human_review.items import Kind, QueuedItem
from services.human_review.metrics import Metrics
from services.human_review.priority import priority
from services.human_review.store import IDS_AT_ONCE, Prediction, ReviewStore
from shared.broker import Publish
from shared.consumer import ConsumerRecord
from shared.events import (
    PredictionCorrected,
    PredictionFlagged,
    ReviewGiven,
    ShadowPairRecorded,
    WorkloadAdded,
)
from shared.lots import Lots
from shared.projections import Workloads
from shared.service import Clock
from shared.workload import Workload

WAITS = timedelta(days=1)
"""So long a review waits for its prediction to be logged: as long as an outbox may well be cut off."""
COUNTED_SECONDS = 60.0
"""So seldom all reviews are counted, while some wait."""


@dataclass(frozen=True)
class Handlers:
    """What happens on each event. Every batch may come again: rows replace by key, events keep their ids."""

    store: ReviewStore
    publish: Publish
    clock: Clock
    workloads: Workloads
    lots: Lots
    reviews_of_a_pair: Callable[[], int]
    metrics: Metrics
    some_wait: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a review was given before its prediction was logged: nothing will tell when it is."""

    async def on_workload_added(self, event: WorkloadAdded) -> None:
        self.workloads.apply(event)

    async def on_prediction_flagged(self, batch: Sequence[ConsumerRecord[PredictionFlagged]]) -> None:
        await self._queue([self._flagged(consumed.event) for consumed in batch])

    async def on_shadow_pair_recorded(self, batch: Sequence[ConsumerRecord[ShadowPairRecorded]]) -> None:
        await self._queue([self._paired(consumed.event) for consumed in batch if consumed.event.differs])

    async def on_review_given(self, batch: Sequence[ConsumerRecord[ReviewGiven]]) -> None:
        reviews = [consumed.event for consumed in batch]
        await self.store.keep_reviews(reviews)
        await self._decide_all((review.workload, review.prediction_id) for review in reviews)

    async def join_while_some_wait(self, seconds: float) -> None:
        """Tries them every `seconds`, as long as there are any, for the first time at once."""
        self.some_wait.set()
        counted_at = -math.inf
        while await self.some_wait.wait():
            await self.join_waiting()
            if not self.some_wait.is_set() or time.monotonic() - counted_at >= COUNTED_SECONDS:
                await self.show_unmatched()
                counted_at = time.monotonic()
            await asyncio.sleep(seconds)

    async def join_waiting(self) -> None:
        """Decides on reviews that were given before their prediction was logged, and not too long ago.

        The others are kept, and count where the prediction is queued or reviewed again.
        """
        self.some_wait.clear()
        waiting = await self.store.waiting(self.clock() - WAITS)
        if waiting:  # what is decided now makes room for more
            self.some_wait.set()
        for workload, prediction_ids in waiting.items():
            if self.workloads.get(workload) is not None:  # version 0.1 kept reviews of any workload
                await self._decide_in_parts(workload, prediction_ids)

    async def show_unmatched(self) -> None:
        self.metrics.show_unmatched(await self.store.unmatched(self.clock() - WAITS))

    async def _queue(self, items: Sequence[QueuedItem]) -> None:
        await self.store.queue(items)
        # A new reason may change how many reviews an item wants, and so settle one that has some.
        await self._decide_all((item.workload, item.prediction_id) for item in items)

    async def _decide_all(self, places: Iterable[tuple[str, str]]) -> None:
        by_workload: dict[str, dict[str, None]] = defaultdict(dict)
        for workload, prediction_id in places:
            by_workload[workload][prediction_id] = None
        for workload, prediction_ids in by_workload.items():
            await self._decide_in_parts(workload, list(prediction_ids))

    async def _decide_in_parts(self, workload: str, prediction_ids: Sequence[str]) -> None:
        for start in range(0, len(prediction_ids), IDS_AT_ONCE):
            await self._decide(workload, prediction_ids[start : start + IDS_AT_ONCE])

    async def _decide(self, workload: str, prediction_ids: Sequence[str]) -> None:
        added = self.workloads.known(workload)
        opinions = await self.store.opinions(workload, prediction_ids)
        if not opinions:
            return
        kinds = await self.store.kinds(workload, list(opinions))
        predictions = await self.store.predictions(workload, list(opinions))
        if opinions.keys() - predictions.keys():
            self.some_wait.set()
        outcomes = {
            prediction_id: outcome(
                # From the broker anything may come: what is no label of the workload is kept and not counted.
                under_present_names(opinions[prediction_id], added.definition),
                self._reviews_wanted(kinds.get(prediction_id), added.definition, prediction_id),
            )
            for prediction_id in predictions
        }
        corrections = [
            _correction(added.definition, prediction_id, predictions[prediction_id], reached)
            for prediction_id, reached in outcomes.items()
            if reached.state is State.AGREED
        ]
        states = {prediction_id: reached.state for prediction_id, reached in outcomes.items()}
        await self.store.keep_corrections(corrections)
        await self.publish(*corrections)
        await self.store.keep_outcomes(workload, states, self.clock())  # last: join_waiting goes by it

    def _flagged(self, event: PredictionFlagged) -> QueuedItem:
        definition, kind = self.workloads.known(event.workload).definition, Kind(event.reason.value)
        return QueuedItem(
            prediction_id=event.prediction_id,
            workload=event.workload,
            predicted_at=event.predicted_at,
            kind=kind,
            options=(),
            adapter=event.adapter,
            answer=event.answer,
            confidence=event.confidence,
            priority=priority(kind, self.lots.drawn("place", event.prediction_id), event.confidence),
            reviews_wanted=self._reviews_wanted(kind, definition, event.prediction_id),
            queued_at=event.flagged_at,
        )

    def _paired(self, event: ShadowPairRecorded) -> QueuedItem:
        """A pair's item holds no adapter, answer or confidence: whoever reads the queue stays blind."""
        definition = self.workloads.known(event.workload).definition
        side = self.lots.drawn("side", event.prediction_id)
        return QueuedItem(
            prediction_id=event.prediction_id,
            workload=event.workload,
            predicted_at=event.predicted_at,
            kind=Kind.PAIR,
            options=blind_options(side, event.champion_answer, event.candidate_answer),
            adapter="",
            answer="",
            confidence=0.0,
            priority=priority(Kind.PAIR, 0.0, 0.0),
            reviews_wanted=self._reviews_wanted(Kind.PAIR, definition, event.prediction_id),
            queued_at=event.recorded_at,
        )

    def _reviews_wanted(self, kind: Kind | None, definition: Workload, prediction_id: str) -> int:
        lot = self.lots.drawn("double", prediction_id)
        return reviews_wanted(kind, lot, definition.review.double_share, self.reviews_of_a_pair())


def _correction(
    workload: Workload, prediction_id: str, prediction: Prediction, reached: Outcome
) -> PredictionCorrected:
    agreeing: Sequence[Opinion] = reached.agreeing
    return PredictionCorrected(
        prediction_id=prediction_id,
        workload=workload.name,
        predicted_at=prediction.predicted_at,
        adapter=prediction.adapter,
        answer=workload.present_name(prediction.answer),
        confidence=prediction.confidence,
        right_answer=reached.right_answer,
        reviewers=[one.reviewer for one in agreeing],
        review_ids=[one.review_id for one in agreeing],
        corrected_at=reached.agreed_at,
    )
