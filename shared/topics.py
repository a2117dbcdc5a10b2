"""Topics as the events declare them, created and described with kafka-python."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from shared.events.envelope import Event, Topic

BOOTSTRAP_MS = 3000  # one try; it is `patience_seconds` that waits

log = logging.getLogger(__name__)


def topics_of(kinds: Iterable[type[Event]]) -> list[Topic]:
    """Each kind's topic and the one for its dead letters, in a steady order."""
    topics: dict[str, Topic] = {}
    for kind in sorted(kinds, key=lambda kind: kind.topic.name):
        topic = kind.topic
        topics[topic.name] = topic
        topics[topic.dead_letters] = Topic(topic.dead_letters, key=topic.key, partitions=1)
    return list(topics.values())


def declare(
    topics: Iterable[Topic], bootstrap_servers: str, replication: int, patience_seconds: float
) -> None:
    """Creates the topics that are missing; waits for a broker that is not there yet.

    Raises TimeoutError when no broker answered within `patience_seconds`.
    """
    deadline = time.monotonic() + patience_seconds
    wanted = [
        NewTopic(topic.name, topic.partitions, replication, topic_configs=settings(topic)) for topic in topics
    ]
    while True:
        try:
            admin = KafkaAdminClient(
                bootstrap_servers=bootstrap_servers,
                client_id="tuneloop-topics",
                bootstrap_timeout_ms=BOOTSTRAP_MS,
            )
            try:
                existing = set(admin.list_topics())
                for topic in wanted:
                    if topic.name not in existing:
                        _create(admin, topic)
            finally:
                admin.close()
        except (KafkaError, OSError) as error:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"no Kafka broker answers at {bootstrap_servers}. Is it running? "
                    "KAFKA_BOOTSTRAP_SERVERS says where to look."
                ) from error
            log.warning("waiting for Kafka at %s (%s)", bootstrap_servers, type(error).__name__)
            time.sleep(1)
        else:
            return


def settings(topic: Topic) -> dict[str, str]:
    """The topic's configuration; a retention of None keeps records for ever."""
    kept = -1 if topic.retention is None else int(topic.retention.total_seconds() * 1000)
    return {"cleanup.policy": "delete", "retention.ms": str(kept)}


def _create(admin: Any, topic: NewTopic) -> None:
    try:
        admin.create_topics([topic])
    except TopicAlreadyExistsError:  # another process was quicker
        return
