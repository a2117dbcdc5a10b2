"""Topics as the events declare them: made where they are missing, and checked where they are there."""

from shared.topics.declaring import KafkaAway, declare, declare_now
from shared.topics.wanted import topics_of

__all__ = ["KafkaAway", "declare", "declare_now", "topics_of"]
