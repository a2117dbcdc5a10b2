"""How near the oldest record that waits is to being deleted by Kafka; pure."""

from __future__ import annotations

from shared.events.envelope import Topic

ALARM_SHARE = 0.5  # of the retention: half of it is left to mend what keeps records waiting

Age = tuple[str, Topic, float]
"""Service, topic, and for how many seconds the oldest record has waited."""


def retention_used(topic: Topic, age_seconds: float) -> float:
    """The share of the topic's retention that a record of this age has used up; 0 if it is kept for ever."""
    return age_seconds / topic.retention.total_seconds() if topic.retention is not None else 0.0
