"""Which segments are old or many enough to go, and when the active one is closed; pure."""

from collections.abc import Sequence
from typing import Protocol

from deploy.laptop.kafka.topic_config import TopicConfig


class SegmentFacts(Protocol):
    """What the decisions look at: bytes, and times in ms since 1970 (`max_timestamp` -1 while empty)."""

    @property
    def size(self) -> int: ...
    @property
    def max_timestamp(self) -> int: ...
    @property
    def born_ms(self) -> int: ...


def is_full(active: SegmentFacts, incoming_bytes: int, config: TopicConfig, now_ms: int) -> bool:
    """Close the active segment before a batch of `incoming_bytes`? Never an empty one."""
    if not active.size:
        return False
    return active.size + incoming_bytes > config.segment_bytes or now_ms - active.born_ms > config.segment_ms


def is_expired(segment: SegmentFacts, config: TopicConfig, now_ms: int) -> bool:
    """Has the newest record of the segment passed `retention.ms`? Records without a time have the file's."""
    newest = segment.max_timestamp if segment.max_timestamp >= 0 else segment.born_ms
    return bool(segment.size) and 0 <= config.retention_ms < now_ms - newest


def droppable(closed: Sequence[SegmentFacts], active_bytes: int, config: TopicConfig, now_ms: int) -> int:
    """How many of the closed segments, oldest first, are to be dropped."""
    kept_bytes = active_bytes + sum(segment.size for segment in closed)
    count = 0
    for segment in closed:
        too_many = 0 <= config.retention_bytes <= kept_bytes - segment.size
        if not too_many and not is_expired(segment, config, now_ms):
            break
        kept_bytes -= segment.size
        count += 1
    return count
