"""HTTP about what waits: of every service and topic how much, since when, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel

from services.workloads.consumer_lag import TopicLag
from services.workloads.consumer_offsets import ConsumerOffsets
from services.workloads.kafka_silent import KafkaSilent
from shared.access.door import may
from shared.access.roles import Verb
from shared.problems import come_again
from shared.service import Clock

MOST_AGES = 50


class Apart(BaseModel):
    """A partition that failed, or waits for something, and is tried again apart from the others."""

    partition: int
    since: datetime
    why: str


class Consumer(BaseModel):
    """One service on one topic."""

    service: str
    topic: str
    behind: int
    """Records that are not handled yet."""
    oldest_seconds: float | None
    """How long the oldest of them has been on Kafka; null if none is, or if that is not known."""
    set_apart: list[Apart]


def consumer_routes(offsets: ConsumerOffsets, clock: Clock) -> APIRouter:
    router = APIRouter(tags=["consumers"])

    @router.get("/consumers", dependencies=[may(Verb.READ, of_all=True)])
    async def consumers() -> list[Consumer]:
        """As the services have committed it: by service and topic."""
        try:
            lags = await asyncio.to_thread(offsets.lag)
        except KafkaSilent as silent:
            raise come_again("Kafka away", f"Kafka: {silent}. Try again in a moment.") from silent
        places = sorted({place for lag in lags for place in _places(lag)})[:MOST_AGES]
        appended = await asyncio.to_thread(offsets.oldest, places)
        now = clock().timestamp()
        found = []
        for lag in lags:
            ages = [now - appended[place] for place in _places(lag) if place in appended]
            found.append(
                Consumer(
                    service=lag.service,
                    topic=lag.topic,
                    behind=lag.behind,
                    oldest_seconds=max(0.0, round(max(ages), 1)) if ages else None,
                    set_apart=[
                        Apart(partition=one.partition, since=one.since, why=one.why) for one in lag.set_apart
                    ],
                )
            )
        return found

    return router


def _places(lag: TopicLag) -> Sequence[tuple[str, int, int]]:
    return [(lag.topic, number, offset) for number, offset in lag.next_of.items()]
