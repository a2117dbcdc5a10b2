"""Which topics there must be, and how they must be set so that nothing acknowledged is lost."""

from __future__ import annotations

from collections.abc import Iterable

from shared.events.envelope import Event, Topic

MOST_REPLICAS = 3
MOST_MESSAGE_BYTES = 1_048_588  # Kafka's own default: some servers are set to less


def topics_of(kinds: Iterable[type[Event]]) -> list[Topic]:
    """Each kind's topic and the one for its dead letters, in a steady order."""
    topics: dict[str, Topic] = {}
    for kind in sorted(kinds, key=lambda kind: kind.topic.name):
        topic = kind.topic
        topics[topic.name] = topic
        topics[topic.dead_letters] = Topic(topic.dead_letters, key=topic.key, partitions=1)
    return list(topics.values())


def retention_ms(topic: Topic) -> int:
    """-1 keeps records for ever."""
    return -1 if topic.retention is None else int(topic.retention.total_seconds() * 1000)


def min_insync(replicas: int) -> int:
    """How many replicas must have a record before it is acknowledged.

    Two, so that one broker may be lost; of two replicas one, or nothing could be written while one is away.
    """
    return 2 if replicas >= MOST_REPLICAS else 1


def settings(topic: Topic, replicas: int) -> dict[str, str]:
    """What a new topic is created with: said in full, because a server's own defaults may be anything.

    LogAppendTime: Kafka deletes by a record's time, and what is published late may be older than the
    retention. When it happened stays in the event.
    """
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(retention_ms(topic)),
        "retention.bytes": "-1",
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": str(min_insync(replicas)),
        "max.message.bytes": str(MOST_MESSAGE_BYTES),
    }
