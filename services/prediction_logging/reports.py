"""What an app reported on Kafka, as the event that the intake would have made of it; pure."""

from __future__ import annotations

from shared.events import FeedbackGiven, FeedbackReported, PredictionLogged, PredictionReported, Writer


def as_logged(reported: PredictionReported) -> PredictionLogged:
    return PredictionLogged(**dict(reported), written_by=Writer.APP)


def as_given(reported: FeedbackReported) -> FeedbackGiven:
    return FeedbackGiven(**dict(reported))
