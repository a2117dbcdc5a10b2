"""The people around the demo's workload: an app, its users, and two reviewers who are not always right.

They use tuneloop as anybody would: over its public HTTP interfaces. What they know of the right answers, the
system learns only from what they say.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from services.workloads.rows import LabelledRow

THUMB_DOWN_IF_WRONG = 0.25  # users seldom bother
THUMB_UP_IF_RIGHT = 0.04
REVIEWER_ERROR = 0.04
AWAY = (500, 502, 503, 504)


@dataclass
class Answered:
    """One request and its answer, as the app saw it."""

    prediction_id: str
    row: LabelledRow
    answer: str
    seconds: float
    thumb: str | None = None


@dataclass
class App:
    """A production app: sends each text to the gateway, and passes on its users' thumbs."""

    gateway_url: str
    services_url: str
    workload: str
    session: aiohttp.ClientSession
    answered: list[Answered] = field(default_factory=list)
    failures: int = 0
    _mood: random.Random = field(default_factory=lambda: random.Random(7))

    async def send(
        self, rows: Sequence[LabelledRow], per_second: float, on_answer: Callable[[], None] = lambda: None
    ) -> None:
        """Sends the rows at a steady rate, whatever the answers take; at most 16 are under way."""
        at_once = asyncio.Semaphore(16)

        def answered(_: asyncio.Task[None]) -> None:
            at_once.release()
            on_answer()

        start = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number, row in enumerate(rows):
                await asyncio.sleep(max(0.0, start + number / per_second - time.monotonic()))
                await at_once.acquire()
                asked = group.create_task(self._ask(row))
                asked.add_done_callback(answered)

    async def _ask(self, row: LabelledRow) -> None:
        body = {"model": self.workload, "messages": [{"role": "user", "content": row.text}]}
        sent = time.perf_counter()
        try:
            async with self.session.post(f"{self.gateway_url}/v1/chat/completions", json=body) as reply:
                content = await reply.json()
                if reply.status != 200:
                    raise aiohttp.ClientError(content)
        except aiohttp.ClientError:
            self.failures += 1
            return
        answered = Answered(
            reply.headers["x-tuneloop-prediction-id"],
            row,
            content["choices"][0]["message"]["content"],
            time.perf_counter() - sent,
        )
        self.answered.append(answered)
        await self._users_react(answered)

    async def _users_react(self, answered: Answered) -> None:
        right = answered.answer == answered.row.label
        if self._mood.random() >= (THUMB_UP_IF_RIGHT if right else THUMB_DOWN_IF_WRONG):
            return
        answered.thumb = "up" if right else "down"
        feedback = {
            "feedback_id": f"thumb-{answered.prediction_id}",
            "prediction_id": answered.prediction_id,
            "workload": self.workload,
            "thumb": answered.thumb,
        }
        await until_taken(lambda: self.session.post(f"{self.services_url}/feedback", json=feedback))


@dataclass
class Reviewer:
    """Answers what the queue gives, from what it knows; now and then it is wrong."""

    name: str
    services_url: str
    workload: str
    knows: Callable[[str], str]
    """Text → right label."""
    session: aiohttp.ClientSession
    error_rate: float = REVIEWER_ERROR
    reviews: int = 0
    _slips: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self._slips.seed(self.name)

    async def review(
        self, most: int, on_review: Callable[[], None] = lambda: None, *, patience_seconds: float = 0.0
    ) -> int:
        """Reviews until `most` are done or the queue has had nothing for so long; returns how many."""
        done, idle_since = 0, time.monotonic()
        while done < most:
            item = await self._next()
            if item is None:
                if time.monotonic() - idle_since >= patience_seconds:
                    break
                await asyncio.sleep(0.5)
                continue
            await self._judge(item)
            done += 1
            self.reviews += 1
            on_review()
            idle_since = time.monotonic()
        return done

    async def _next(self) -> Mapping[str, Any] | None:
        place = {"workload": self.workload, "reviewer": self.name}
        taken = await until_taken(
            lambda: self.session.post(f"{self.services_url}/reviews/claims", json=place)
        )
        item: Mapping[str, Any] | None = taken
        return item

    async def _judge(self, item: Mapping[str, Any]) -> None:
        right_answer = self.knows(item["text"])
        if self._slips.random() < self.error_rate:
            right_answer = self._slips.choice([label for label in item["labels"] if label != right_answer])
        review = {
            "prediction_id": item["prediction_id"],
            "workload": self.workload,
            "reviewer": self.name,
            "right_answer": right_answer,
        }
        await until_taken(lambda: self.session.post(f"{self.services_url}/reviews", json=review))


async def until_taken(ask: Callable[[], AbstractAsyncContextManager[aiohttp.ClientResponse]]) -> Any:
    """Asks again while the service is away or not ready: what is sent carries its id, so twice is once.

    Returns the answer's JSON, None if it has none. Raises aiohttp.ClientResponseError when it is refused.
    """
    while True:
        try:
            async with ask() as reply:
                if reply.status not in AWAY:
                    reply.raise_for_status()
                    return None if reply.status == 204 else await reply.json()
        except aiohttp.ClientConnectionError:
            pass  # it is being started again
        await asyncio.sleep(0.5)
