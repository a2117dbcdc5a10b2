"""HTTP for reviewers: a claim, a review, and how far reviewers agree."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Annotated, TypeVar

from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.human_review.claims import Claimant
from services.human_review.items import Kind, OpenItem
from services.human_review.look_ahead import LookAhead
from services.human_review.reviewer import reviewer_of
from services.human_review.settings import Settings
from services.human_review.store import ReviewStore
from shared.access.door import May, admitted
from shared.access.principal import Principal
from shared.access.roles import Verb
from shared.broker import Publish
from shared.events import Rate, ReviewGiven, WorkloadAdded, derived_id
from shared.fields import Id, Moment, Name, WorkloadName
from shared.http_doors.json_route import JsonRoute
from shared.intervals import wilson
from shared.problems import Problem, come_again
from shared.projections import Workloads
from shared.service import Clock

T = TypeVar("T")
MOST_SAID, MOST_WITHOUT = 100, 200
Said = Annotated[Name, Field(max_length=MOST_SAID)]
"""Who reviews, where nobody needs a key; with one, it is whose the key is, and this is not looked at."""
Reviewer = Annotated[Principal, Depends(May(Verb.REVIEW))]
Reader = Annotated[Principal, Depends(May(Verb.READ))]
log = logging.getLogger(__name__)


class Item(BaseModel):
    """What a reviewer sees. A pair has two options and does not say what the live model answered."""

    prediction_id: str
    kind: Kind
    text: str
    options: list[str]
    labels: list[str]
    predicted_at: datetime
    held_until: datetime
    """Until then nobody else is given it, unless it wants more reviewers, or its own claims many others."""
    answer: str | None = None
    confidence: float | None = None
    probabilities: dict[str, float] | None = None


class Claim(BaseModel):
    """Who wants something to review."""

    model_config = ConfigDict(extra="forbid")

    workload: WorkloadName
    reviewer: Said | None = None
    without: Annotated[Sequence[Id], Field(max_length=MOST_WITHOUT)] = ()
    """Items not to give: those on the reviewer's screen or skipped for good."""


class Review(BaseModel):
    """A reviewer's judgement. Without `review_id`, the same judgement sent twice is one review.

    Whoever lets reviewers change their minds and back again sends a new `review_id` each time.
    """

    model_config = ConfigDict(extra="forbid")

    prediction_id: Id
    workload: WorkloadName
    reviewer: Said | None = None
    right_answer: Name
    review_id: Id | None = None
    given_at: Annotated[Moment | None, Field(deprecated=True)] = None
    """Not believed: a review is given when it comes."""


class Accepted(BaseModel):
    review_id: str


class Agreement(BaseModel):
    """Predictions judged by two reviewers or more, and in how many the first two agree."""

    workload: str
    n: int
    agreed: int
    share: Share


class Share(BaseModel):
    """A share with its 95 % interval (Wilson 1927)."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, rate: Rate) -> Share:
        return cls(value=rate.value, low=rate.low, high=rate.high)


def make_router(
    ahead: LookAhead,
    store: ReviewStore,
    workloads: Workloads,
    publish: Publish,
    clock: Clock,
    settings: Settings,
) -> APIRouter:
    router = APIRouter(prefix="/reviews", tags=["human review"], route_class=JsonRoute)

    @router.post("/claims", response_model=Item, response_model_exclude_none=True, responses={204: {}})
    async def claim(wanted: Claim, request: Request, principal: Reviewer) -> Item | Response:
        """Claims the reviewer's next item, theirs for ten minutes; 204 when there is none.

        Asked again, it gives another one, and comes back to what was not judged when the rest is done. Who
        holds more than twelve that are not judged holds the oldest of them no longer.
        """
        admitted(request, Verb.REVIEW, wanted.workload)
        added = _known(workloads, wanted.workload, principal)
        who = reviewer_of(principal, wanted.reviewer or "")
        if added.is_retired:
            raise Problem(
                404, "Retired", f"{added.name} is retired: nothing is reviewed until it is added again."
            )
        held_until = clock() + timedelta(seconds=settings.claim_seconds)
        item = await _from_tables(
            ahead.next(added.name, Claimant(principal.id, who), frozenset(wanted.without))
        )
        if item is None:
            return Response(status_code=204)
        return _shown(item.under_present_names(added.definition), added.definition.labels, held_until)

    @router.post("", status_code=202)
    async def give_review(review: Review, request: Request, principal: Reviewer) -> Accepted:
        """Takes a review; it is safe when this has answered. A later one by the same reviewer replaces it.

        It may come before its prediction is logged, by a day at most.
        """
        admitted(request, Verb.REVIEW, review.workload)
        added = _known(workloads, review.workload, principal)
        who = reviewer_of(principal, review.reviewer or "")
        definition, labels = added.definition, added.definition.labels
        if definition.present_label(review.right_answer) is None:
            near = get_close_matches(review.right_answer, labels, n=3, cutoff=0.5)
            raise Problem(
                422,
                "Not a label of this workload",
                f'"{review.right_answer[:80]}" is no label of {review.workload}. '
                + (
                    f"Did you mean {' or '.join(near)}?"
                    if near
                    else f"Its labels begin {labels[0]}, {labels[1]}."
                ),
                near=near,
            )
        given = ReviewGiven(
            review_id=review.review_id or _id_of(review, who),
            prediction_id=review.prediction_id,
            workload=review.workload,
            reviewer=who,
            right_answer=review.right_answer,
            given_at=clock(),
            revision=added.revision,
        )
        await _publish_in_time(publish, given, settings.accept_seconds)
        ahead.judged(given.workload, given.prediction_id, Claimant(principal.id, who))
        return Accepted(review_id=given.review_id)

    @router.get("/agreement")
    async def agreement(workload: str, principal: Reader) -> Agreement:
        """How far reviewers agree where two looked at the same prediction."""
        added = _known(workloads, workload, principal)
        n, agreed = await _from_tables(store.agreement(added.name))
        return Agreement(workload=added.name, n=n, agreed=agreed, share=Share.of(wilson(agreed, n)))

    return router


async def _publish_in_time(publish: Publish, given: ReviewGiven, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await publish(given)
    except (TimeoutError, KafkaException) as error:
        raise come_again(
            "Not accepted for sure",
            "Kafka did not confirm in time. Send the same again: if it did arrive, it still counts once.",
            seconds=5,
        ) from error


def _id_of(review: Review, reviewer: str) -> str:
    said = (review.workload, review.prediction_id, reviewer, review.right_answer)
    return derived_id("review", *said)


def _known(workloads: Workloads, name: str, principal: Principal) -> WorkloadAdded:
    added = workloads.get(name)
    if added is None:
        names = sorted(one.name for one in workloads.all() if principal.is_for(one.name))
        said = ", ".join(names) or "none yet"
        raise Problem(404, "Unknown workload", f"There is no such workload. Known: {said}.")
    return added


async def _from_tables(reading: Awaitable[T]) -> T:
    try:
        return await reading
    except (ClickHouseError, OSError) as error:
        log.warning("the tables do not answer: %s", error)
        raise come_again("Tables away", "The tables do not answer. Try again in a moment.") from error


def _shown(item: OpenItem, labels: Sequence[str], held_until: datetime) -> Item:
    shown = Item(
        prediction_id=item.prediction_id,
        kind=item.kind,
        text=item.text,
        options=list(item.options),
        labels=list(labels),
        predicted_at=item.predicted_at,
        held_until=held_until,
    )
    if item.kind is Kind.PAIR:
        return shown
    return shown.model_copy(
        update={
            "answer": item.answer,
            "confidence": item.confidence,
            "probabilities": dict(item.probabilities),
        }
    )
