"""What an app writes to Kafka itself becomes what the intake would have said of it."""

from __future__ import annotations

from shared.events import FeedbackReported, PredictionFlagged, PredictionReported, Writer
from tests.services.prediction_logging.conftest import Logging, feedback, logged


def reported(prediction_id: str) -> PredictionReported:
    return PredictionReported(**logged(prediction_id).model_dump(exclude={"written_by"}))


async def test_a_reported_prediction_is_logged_with_all_its_fields(logging: Logging) -> None:
    assert await logging.apply(reported("p1"), reported("p2")) == []
    as_an_apps = [logged(name, written_by=Writer.APP) for name in ("p1", "p2")]
    assert logging.published == as_an_apps


async def test_reported_feedback_is_given_and_meets_its_prediction(logging: Logging) -> None:
    given = feedback("p1")
    await logging.apply(logged("p1"))
    await logging.apply(FeedbackReported(**dict(given)))
    assert logging.published == [given]
    await logging.apply(given)
    assert isinstance(logging.published[-1], PredictionFlagged)


async def test_a_report_that_comes_again_says_the_same_event_again(logging: Logging) -> None:
    await logging.apply(reported("p1"))
    await logging.apply(reported("p1"), offset=0)
    first, again = logging.published
    assert first.event_id == again.event_id == logged("p1").event_id
