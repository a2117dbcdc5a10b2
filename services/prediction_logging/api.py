"""The HTTP intake: it checks, publishes, and answers 202 once Kafka has everything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Annotated

from confluent_kafka import KafkaException
from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from services.prediction_logging.intake import (
    UNKNOWN_WORKLOAD,
    LineError,
    NotJson,
    WrongLines,
    lines_of,
    predictions,
)
from services.prediction_logging.settings import Settings
from shared.broker import Publish
from shared.events import Event, FeedbackGiven, Thumb, derived_id
from shared.fields import Id, Share, WorkloadName
from shared.problems import Problem
from shared.projections import Workloads
from shared.request_bodies import body_of, parsed, problem_of
from shared.service import Clock
from shared.subject_ids import subject_id
from shared.time_ordered_ids import time_ordered_id

MOST_ERRORS_LISTED = 100

IdempotencyKey = Annotated[
    str | None,
    Header(description="The same key gives the same ids: send again without fear.", max_length=200),
]


class FeedbackBody(BaseModel):
    """A user's signal on one answer, as an app sends it."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    feedback_id: Id | None = None
    prediction_id: Id
    workload: WorkloadName
    thumb: Thumb | None = None
    score: Share | None = None
    comment: Annotated[str, StringConstraints(max_length=4000)] | None = None
    user: Annotated[str | None, Field(repr=False)] = None
    """The app's own name for its user. It goes no further than its `subject_id`."""
    group_id: Id | None = None


class Accepted(BaseModel):
    """The ids under which everything is kept, in the order it was sent."""

    ids: list[str]


def routes(
    workloads: Workloads, publish: Publish, clock: Clock, settings: Settings, subject_key: str
) -> APIRouter:
    router = APIRouter(tags=["logging"])
    subject_of = partial(subject_id, subject_key)

    def id_of(kind: str, key: str | None) -> Callable[[int], str]:
        if key is None:
            return lambda _: time_ordered_id(clock())
        return lambda number: derived_id(kind, key, str(number))

    @router.post("/predictions", status_code=202)
    async def post_predictions(request: Request, idempotency_key: IdempotencyKey = None) -> Accepted:
        body = await body_of(request, settings.body_most_bytes)
        is_ndjson = request.headers.get("content-type", "").startswith("application/x-ndjson")
        try:
            lines = lines_of(body, is_ndjson=is_ndjson)
        except NotJson as error:
            raise Problem(400, "Invalid JSON", f"The body is not JSON: {error}.") from None
        if not 1 <= len(lines) <= settings.most_predictions:
            raise _wrong_count(len(lines), settings.most_predictions)
        try:
            events = predictions(lines, workloads, id_of("prediction", idempotency_key), subject_of, clock())
        except WrongLines as wrong:
            raise _wrong_lines(wrong, workloads) from None
        await _publish_in_time(publish, events, settings.publish_timeout_seconds)
        return Accepted(ids=[event.prediction_id for event in events])

    @router.post("/feedback", status_code=202)
    async def post_feedback(request: Request, idempotency_key: IdempotencyKey = None) -> Accepted:
        given = parsed(FeedbackBody, await body_of(request, settings.body_most_bytes))
        made = given.model_dump(exclude={"feedback_id", "user"})
        feedback_id = given.feedback_id or id_of("feedback", idempotency_key)(1)
        try:
            event = FeedbackGiven(
                **made, feedback_id=feedback_id, subject_id=subject_of(given.user), given_at=clock()
            )
        except ValidationError as error:
            raise problem_of(error) from None
        if workloads.get(event.workload) is None:
            raise _unknown_workload(workloads)
        await _publish_in_time(publish, [event], settings.publish_timeout_seconds)
        return Accepted(ids=[feedback_id])

    return router


async def _publish_in_time(publish: Publish, events: Sequence[Event], seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await publish(*events)
    except (TimeoutError, KafkaException) as error:
        raise Problem(
            503,
            "Not accepted for sure",
            "Kafka did not confirm in time. Send the same again, with the same ids or Idempotency-Key: what "
            "did arrive is not counted twice.",
            headers={"Retry-After": "5"},
        ) from error


def _wrong_count(count: int, most: int) -> Problem:
    if count == 0:
        return Problem(422, "Nothing sent", "Send one prediction, an array, or one JSON object a line.")
    return Problem(413, "Too many predictions", f"Send at most {most} predictions in one request.")


def _wrong_lines(wrong: WrongLines, workloads: Workloads) -> Problem:
    if all(error.problem == UNKNOWN_WORKLOAD for error in wrong.errors):
        return _unknown_workload(workloads, wrong.errors)
    return Problem(
        422,
        "Nothing was accepted",
        f"{wrong}; see `errors`. Correct them and send all lines again.",
        errors=[asdict(error) for error in wrong.errors[:MOST_ERRORS_LISTED]],
    )


def _unknown_workload(workloads: Workloads, errors: Sequence[LineError] = ()) -> Problem:
    names = sorted(workload.name for workload in workloads.all())
    return Problem(
        404,
        "Unknown workload",
        f"Nothing was accepted. Known workloads are: {', '.join(names) or 'none yet'}.",
        known_workloads=names,
        errors=[asdict(error) for error in errors[:MOST_ERRORS_LISTED]],
    )
