"""What happens while a model answers users."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from shared.events.envelope import Event, Topic
from shared.fields import (
    MOST_ITEMS,
    Adapter,
    Attributes,
    Count,
    Id,
    Milliseconds,
    Moment,
    Name,
    Paragraph,
    PredictionId,
    Share,
    Text,
    Whole,
    WorkloadName,
)


class Writer(StrEnum):
    """Who put a prediction on record."""

    GATEWAY = "gateway"  # it asked the champion itself
    APP = "app"  # it says what a model of its own answered


def credited(adapter: str, written_by: Writer | None) -> str:
    """The adapter whose answer a record is evidence of; empty: of none, whatever it says.

    Apps may name any model, and so may records that do not say who wrote them, as those of version 0.2: only
    the gateway knows which adapter answered. This is what shadow, audits and verdicts rest on.
    """
    return adapter if written_by is Writer.GATEWAY else ""


class Prediction(Event):
    """A model answered a request, whoever says so."""

    prediction_id: PredictionId
    workload: WorkloadName
    predicted_at: Moment
    input: Text
    answer: Name
    confidence: Share
    probabilities: Annotated[dict[Name, Share], Field(max_length=MOST_ITEMS)] = Field(default_factory=dict)
    """Label → probability, where the server that answered gives them."""
    adapter: Name
    """What the writer calls the model that answered."""
    latency_ms: Milliseconds = 0
    tokens_in: Count = 0
    attributes: Attributes = Field(default_factory=dict)
    subject_id: Id | None = None
    """Who it is about, if anybody: a keyed hash made where the event comes in, never a name."""
    group_id: Id | None = None
    """What it belongs to: a document, a thread, a ticket."""
    revision: Whole | None = None
    """Of the workload's definition, as it stood when this was answered. Up to version 0.2 nobody said it."""

    def cause(self) -> tuple[str, ...]:
        return (self.workload, self.prediction_id)

    def happened_at(self) -> datetime:
        return self.predicted_at


class PredictionLogged(Prediction):
    """The live model answered a request."""

    topic: ClassVar[Topic] = Topic("prediction-logged-v1", key="prediction_id", partitions=6)

    written_by: Writer | None = None
    """Up to version 0.2 nobody said it."""

    @property
    def credited(self) -> str:
        """The adapter it is evidence of, or empty."""
        return credited(self.adapter, self.written_by)


class PredictionReported(Prediction):
    """An app says what its own model answered. Apps write this one, and PredictionLogged follows from it.

    It has a topic of its own so that Kafka can tell an app's records from the gateway's.
    """

    topic: ClassVar[Topic] = Topic("prediction-reported-v1", key="prediction_id", partitions=6)


class Thumb(StrEnum):
    UP = "up"
    DOWN = "down"


class Feedback(Event):
    """A user's signal on one answer, whoever passes it on."""

    feedback_id: Id
    prediction_id: PredictionId
    workload: WorkloadName
    thumb: Thumb | None = None
    score: Share | None = None
    comment: Paragraph | None = None
    subject_id: Id | None = None
    """Who it is about, if anybody: a keyed hash made where the event comes in, never a name."""
    group_id: Id | None = None
    """What it belongs to: a document, a thread, a ticket."""
    given_at: Moment

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.thumb is None and self.score is None and not self.comment:
            raise ValueError("give at least one of thumb, score, comment")
        return self

    @property
    def is_negative(self) -> bool:
        return self.thumb is Thumb.DOWN or (self.score is not None and self.score < 0.5)

    def cause(self) -> tuple[str, ...]:
        return (self.workload, self.prediction_id, self.feedback_id)

    def happened_at(self) -> datetime:
        return self.given_at


class FeedbackGiven(Feedback):
    """A user's signal on one answer. It may arrive before the prediction it belongs to."""

    topic: ClassVar[Topic] = Topic("feedback-given-v1", key="prediction_id")


class FeedbackReported(Feedback):
    """An app passes on what a user said of an answer. Apps write this one, FeedbackGiven follows from it."""

    topic: ClassVar[Topic] = Topic("feedback-reported-v1", key="prediction_id")


class FlagReason(StrEnum):
    DOUBTED = "doubted"  # the model's own confidence was low
    DISLIKED = "disliked"  # a user said so
    AUDIT = "audit"  # drawn at random, so that accuracy can be estimated without bias


class PredictionFlagged(Event):
    """A prediction somebody should look at, and why. Its text stays in the predictions table."""

    topic: ClassVar[Topic] = Topic("prediction-flagged-v1", key="prediction_id")

    prediction_id: PredictionId
    workload: WorkloadName
    predicted_at: Moment
    adapter: Adapter
    answer: Name
    confidence: Share
    reason: FlagReason
    flagged_at: Moment

    def cause(self) -> tuple[str, ...]:
        return (self.workload, self.prediction_id, self.reason)

    def happened_at(self) -> datetime:
        return self.flagged_at
