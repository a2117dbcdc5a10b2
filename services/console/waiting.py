"""What waits in the installation, as sentences for the first page: none while all goes well; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel

LATE = timedelta(minutes=1)
"""What is younger is on its way."""


class SetApart(BaseModel):
    partition: int
    since: datetime
    why: str


class Consumer(BaseModel):
    """How far one service is on one topic, as `workloads` tells it."""

    service: str
    topic: str
    behind: int
    oldest_seconds: float | None
    set_apart: list[SetApart]


@dataclass(frozen=True)
class Waiting:
    """One sentence, and since when it is so."""

    sentence: str
    since: datetime | None = None


def waiting(consumers: Sequence[Consumer], dead_letters: int, now: datetime) -> list[Waiting]:
    """What stands still first, then what is behind, then what was set aside."""
    standing = [
        Waiting(
            f"{one.service} stands still on {one.topic}, partition {apart.partition}: {apart.why}",
            apart.since,
        )
        for one in consumers
        for apart in one.set_apart
    ]
    behind = [
        Waiting(
            f"{one.service} is {one.behind:,} records behind on {one.topic}",
            now - timedelta(seconds=one.oldest_seconds),
        )
        for one in consumers
        if one.oldest_seconds is not None
        and timedelta(seconds=one.oldest_seconds) >= LATE
        and not one.set_apart
    ]
    many = "1 dead letter waits" if dead_letters == 1 else f"{dead_letters:,} dead letters wait"
    aside = [Waiting(f"{many} for somebody to decide: tuneloop dead-letters list")] if dead_letters else []
    return [*standing, *behind, *aside]
