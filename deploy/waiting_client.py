"""What the command line asks of what waits: services that are behind, and dead letters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, TypeAdapter

from deploy.workloads_client import SAYS_WHO
from shared.service_client import ServiceClient
from shared.times import utc


class SetApart(BaseModel):
    partition: int
    since: datetime
    why: str


class Consumer(BaseModel):
    """How far one service is on one topic."""

    service: str
    topic: str
    behind: int
    oldest_seconds: float | None
    set_apart: list[SetApart]


class DeadLetter(BaseModel):
    id: str
    topic: str
    partition: int
    offset: int
    service: str
    reason: str
    at: datetime
    bytes: int
    is_whole: bool


class DeadLetterCount(BaseModel):
    topic: str
    service: str
    count: int


class DeadLetters(BaseModel):
    total: int
    counts: list[DeadLetterCount]
    letters: list[DeadLetter]


@dataclass(frozen=True)
class Narrowed:
    """Which dead letters are meant; None is any. `since` without a zone is in UTC."""

    topic: str | None = None
    service: str | None = None
    since: datetime | None = None

    def said(self) -> dict[str, str]:
        since = utc(self.since).isoformat() if self.since else None
        said = {"topic": self.topic, "service": self.service, "since": since}
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True)
class WaitingClient:
    """Asks the service `workloads`. Every method raises ServiceAway and ServiceRefused."""

    service: ServiceClient

    async def consumers(self) -> list[Consumer]:
        return TypeAdapter(list[Consumer]).validate_python(await self.service.ask("GET", "/consumers"))

    async def listed(self, narrowed: Narrowed, limit: int) -> DeadLetters:
        """The newest `limit` that match, and how many there are."""
        query = [("limit", str(limit)), *narrowed.said().items()]
        return DeadLetters.model_validate(await self.service.ask("GET", "/dead-letters", query=query))

    async def show(self, letter_id: str) -> dict[str, Any]:
        return dict(await self.service.ask("GET", f"/dead-letters/{quote(letter_id, safe='')}"))

    async def decide(self, letter_id: str, what: str, reason: str) -> int:
        """`what`: replay or drop. Gives how many that were."""
        wish = {"requested_by": SAYS_WHO, "reason": reason}
        path = f"/dead-letters/{quote(letter_id, safe='')}/{what}"
        return int((await self.service.ask("POST", path, body=wish))["count"])

    async def decide_all(self, what: str, narrowed: Narrowed, count: int, reason: str) -> int:
        """All that match, if they are `count` still."""
        wish = {"requested_by": SAYS_WHO, "reason": reason, "count": count}
        answer = await self.service.ask("POST", f"/dead-letters/{what}", body=wish | narrowed.said())
        return int(answer["count"])
