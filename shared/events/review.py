"""What reviewers say, and what they agree on."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import Field

from shared.events.envelope import Event, Topic
from shared.fields import MOST_ITEMS, Adapter, Id, Moment, Name, PredictionId, Share, Whole, WorkloadName


class ReviewGiven(Event):
    """One reviewer's judgement on one prediction. A later one by the same reviewer replaces it."""

    topic: ClassVar[Topic] = Topic("review-given-v1", key="prediction_id")

    review_id: Id
    prediction_id: PredictionId
    workload: WorkloadName
    reviewer: Name
    right_answer: Name
    given_at: Moment
    revision: Whole | None = None
    """Of the workload's definition whose labels the reviewer chose from. Up to version 0.2 nobody said it."""

    def cause(self) -> tuple[str, ...]:
        return (self.workload, self.prediction_id, self.review_id)

    def happened_at(self) -> datetime:
        return self.given_at


class PredictionCorrected(Event):
    """The agreed right answer to one prediction. It may confirm the model's."""

    topic: ClassVar[Topic] = Topic("prediction-corrected-v1", key="prediction_id")

    prediction_id: PredictionId
    workload: WorkloadName
    predicted_at: Moment
    adapter: Adapter
    answer: Name
    confidence: Share
    right_answer: Name
    reviewers: Annotated[list[Name], Field(max_length=MOST_ITEMS)]
    review_ids: Annotated[list[Id], Field(max_length=MOST_ITEMS)]
    corrected_at: Moment

    def cause(self) -> tuple[str, ...]:
        return (self.workload, self.prediction_id, *sorted(self.review_ids))

    def happened_at(self) -> datetime:
        return self.corrected_at
