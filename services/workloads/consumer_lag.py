"""How far each service is behind on each topic, and what stands still since when and why; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.consumer.waiting import Waiting
from shared.flow import FLOW

Place = tuple[str, int]


@dataclass(frozen=True)
class SetApart:
    """A partition that is tried again apart from the others."""

    partition: int
    since: datetime
    why: str


@dataclass(frozen=True)
class Committed:
    """How far a group is on a partition, and what it noted there."""

    offset: int
    """Negative: it has committed nothing."""
    metadata: str = ""


@dataclass(frozen=True)
class Span:
    """What a partition holds: offsets from `start`, and before `end`."""

    start: int
    end: int


@dataclass(frozen=True)
class TopicLag:
    service: str
    topic: str
    behind: int
    """Records that are not handled yet."""
    next_of: Mapping[int, int]
    """Of each partition that is behind the offset of the oldest record that is not handled."""
    set_apart: tuple[SetApart, ...]


def group_topics() -> dict[str, list[str]]:
    """Of each service that consumes as a group the topics it commits on."""
    topics = {
        service: sorted(kind.topic.name for kind in part.consumed_as_group) for service, part in FLOW.items()
    }
    return {service: names for service, names in topics.items() if names}


def lag_of(
    service: str, topics: Iterable[str], committed: Mapping[Place, Committed], spans: Mapping[Place, Span]
) -> list[TopicLag]:
    """By topic, in their order. A group that never committed has everything before it."""
    found = []
    for topic in topics:
        behind, apart = {}, []
        for (name, number), span in sorted(spans.items()):
            if name != topic:
                continue
            at = committed.get((name, number), Committed(-1))
            following = max(at.offset, span.start)
            if following < span.end:
                behind[number] = span.end - following, following
            if (stands := Waiting.from_note(at.metadata)) is not None:
                apart.append(SetApart(number, stands.since, stands.why))
        found.append(
            TopicLag(
                service,
                topic,
                sum(count for count, _ in behind.values()),
                {number: following for number, (_, following) in behind.items()},
                tuple(apart),
            )
        )
    return found
