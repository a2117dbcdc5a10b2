"""The HTTP intake: it checks each line, has it kept, and answers 202 once Kafka or its own disk has it."""

from __future__ import annotations

import time
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from services.prediction_logging import intake_answers as answers
from services.prediction_logging.acceptance import Acceptance, NotAccepted
from services.prediction_logging.body_lines import JSON_LINES, NotJson, TooManyLines
from services.prediction_logging.given import FeedbackOnAnswer, PredictionGiven
from services.prediction_logging.intake import Judged, Kind, judged
from services.prediction_logging.intake_answers import Accepted, PartlyAccepted
from services.prediction_logging.intake_metrics import IntakeMetrics
from services.prediction_logging.kinds import Feedback, Predictions
from services.prediction_logging.remembered import Remembered
from services.prediction_logging.request_keys import Refused, RequestKey, key_of, new_key
from services.prediction_logging.settings import Settings
from shared.access.door import principal_of
from shared.access.limiter import RequestLimits
from shared.access.roles import Verb
from shared.asgi_route import AsgiRoute, answered_by
from shared.idempotency_keys import LONGEST_KEY
from shared.problems import Problem, is_json
from shared.projections import Workloads
from shared.request_bodies import body_of, content_type_of, not_json
from shared.service import Clock
from shared.time_ordered_ids import time_ordered_id

DAY_SECONDS, HOUR_SECONDS = 86_400.0, 3600.0
MOST_REFUSED_BODIES = 10_000
YES, NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
HUNG_UP_SECONDS = 0.1  # an app that waited longer may have gone, and will send the same again
RESPONSES: dict[int | str, dict[str, Any]] = {
    207: {"model": PartlyAccepted},
    **{
        status: {"description": said, "content": {"application/problem+json": {}}}
        for status, said in (
            (400, "No JSON, or a key that is none"),
            (403, "Only workloads that the key is not for"),
            (404, "Only unknown workloads"),
            (408, "The body did not end in time"),
            (409, "Only ids that came before with other content"),
            (413, "Too many bytes or lines"),
            (415, "No media type, or another one, charset or coding"),
            (422, "No line is right, or all_or_nothing and one is wrong"),
            (429, "A key or a workload is past its limit: nothing was taken, send the same again"),
            (503, "Not accepted for sure: send the same again"),
        )
    },
}
JSON_LINES_TOO = {
    "requestBody": {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}, "required": True}
}


class Intake:
    """Takes the events of one request at a time, and remembers for the next ones what came."""

    def __init__(
        self,
        workloads: Workloads,
        acceptance: Acceptance,
        clock: Clock,
        settings: Settings,
        metrics: IntakeMetrics,
        limits: RequestLimits,
    ) -> None:
        self._workloads, self._acceptance, self._clock = workloads, acceptance, clock
        self._settings, self._metrics, self._limits = settings, metrics, limits
        self._seen = Remembered(settings.remembered_ids, DAY_SECONDS)
        self._refused = Refused(MOST_REFUSED_BODIES, HOUR_SECONDS)

    async def take(self, kind: Kind[Any], request: Request) -> Response:
        """Raises Problem."""
        must_all = _must_all(request)
        principal = principal_of(request)
        if principal.workloads is not None:
            kind = kind.of(principal.workloads)
        media_type, _ = content_type_of(request)
        is_lines = media_type in JSON_LINES
        if not is_lines and not is_json(media_type):
            raise answers.wrong_media_type()
        body = await body_of(request, self._settings.body_most_bytes, self._settings.body_seconds)
        key = self._key(kind, request, principal.id, body)
        found = self._judged(kind, key, body, is_lines=is_lines)
        if found.errors and (must_all or not found.ids):
            self._metrics.count(kind.name, found)
            names = (one.name for one in self._workloads.all())
            raise answers.refusal(found, sorted(filter(principal.is_for, names)))
        began = time.monotonic()
        try:
            with self._limits.within_workloads(found.sizes):
                self._metrics.count(kind.name, found)
                self._remember(kind, key, body, found)
                await self._accept(key, found)
        except Problem as refusal:
            if refusal.status != 429 or key.is_again:  # of what may have arrived, the same is meant again
                self._refused.keep(kind.name, body, key, time.monotonic())
            raise
        if time.monotonic() - began > HUNG_UP_SECONDS and await request.is_disconnected():
            self._refused.keep(kind.name, body, key, time.monotonic())
        return answers.answer(found)

    async def _accept(self, key: RequestKey, found: Judged) -> None:
        """Raises Problem, 503."""
        try:
            await self._acceptance.accept(found.records)
        except NotAccepted:
            self._metrics.refused.inc()
            raise answers.not_accepted(found, key) from None

    def _key(self, kind: Kind[Any], request: Request, principal: str, body: bytes) -> RequestKey:
        """What the ids of this request derive from."""
        header = request.headers.get("idempotency-key")
        if header is None:
            again = self._refused.take(kind.name, body, principal, time.monotonic())
            moment = self._clock()
            return again or new_key(time_ordered_id(moment), principal, moment)
        key = key_of(header, principal, self._clock())
        if key is None:
            raise answers.no_key()
        if self._seen.differs(_place(kind, key), hash(body)):
            raise answers.key_used_before()
        return key

    def _judged(self, kind: Kind[Any], key: RequestKey, body: bytes, *, is_lines: bool) -> Judged:
        most, moment = self._settings.most_predictions, key.made_at or self._clock()
        try:
            found = judged(body, kind, key, moment, self._seen, is_lines=is_lines, most=most)
        except NotJson as error:
            raise not_json(str(error)) from None
        except TooManyLines:
            raise answers.wrong_count(most + 1, most) from None
        if not found.ids and not found.errors:
            raise answers.wrong_count(0, most)
        return found

    def _remember(self, kind: Kind[Any], key: RequestKey, body: bytes, found: Judged) -> None:
        second = time.monotonic()
        if not key.is_new:
            self._seen.keep(_place(kind, key), hash(body), second)
        self._seen.keep_all(found.contents, second)


def _must_all(request: Request) -> bool:
    """Raises Problem: whoever misspells it must not be taken at half."""
    said = request.query_params.get("all_or_nothing", "false").lower()
    if said not in YES and said not in NO:
        raise answers.unclear_query("all_or_nothing", "true or false")
    return said in YES


def _place(kind: Kind[Any], key: RequestKey) -> int:
    return hash(("Idempotency-Key", kind.name, key.principal, key.text))


IdempotencyKey = Annotated[
    str | None,
    Header(
        description="The same key gives the same ids: send again without fear. Each principal has its own.",
        max_length=LONGEST_KEY,
    ),
]
AllOrNothing = Annotated[
    bool, Query(description="Refuse every line when one is wrong, instead of keeping the good ones.")
]


def routes(intake: Intake, predictions: Predictions, feedback: Feedback) -> APIRouter:
    router = APIRouter(tags=["logging"], route_class=AsgiRoute)

    @router.post("/predictions", status_code=202, responses=RESPONSES, openapi_extra=JSON_LINES_TOO)
    @answered_by(partial(intake.take, predictions), Verb.LOG)
    def post_predictions(
        body: PredictionGiven | list[PredictionGiven],
        idempotency_key: IdempotencyKey = None,
        all_or_nothing: AllOrNothing = False,
    ) -> Accepted:
        """Logs predictions of a model that the app runs itself.

        One object, an array, or JSON Lines; gzip is welcome. 202: all are kept. 207: some are; the result of
        each line says which. The same `prediction_id` with the same content is the same prediction.
        """
        raise NotImplementedError

    @router.post("/feedback", status_code=202, responses=RESPONSES, openapi_extra=JSON_LINES_TOO)
    @answered_by(partial(intake.take, feedback), Verb.FEEDBACK)
    def post_feedback(
        body: FeedbackOnAnswer | list[FeedbackOnAnswer],
        idempotency_key: IdempotencyKey = None,
        all_or_nothing: AllOrNothing = False,
    ) -> Accepted:
        """Says what users think of answers. It may come before its prediction does.

        Sent and answered as predictions are. `prediction_id` may be the id that an OpenAI client saw.
        """
        raise NotImplementedError

    return router
