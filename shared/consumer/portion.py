"""Records of a partition that have come, and its head: what of it is handled next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from confluent_kafka import Message

from shared.consumer.reading import read_record
from shared.consumer.records import ConsumerRecord
from shared.consumer.unknown_workload import REASON, UnknownWorkloads
from shared.events.envelope import Event, InvalidMessage

MOST_HELD = 4000  # of a partition, in memory; from there on Kafka is asked for no more of it
MOST_HELD_BYTES = 16 << 20


@dataclass
class Partition:
    """Records of one partition that have come and are not handled, the oldest first."""

    number: int
    held: deque[Message] = field(default_factory=deque)
    held_bytes: int = 0
    failures: int = 0
    """In a row."""
    invalid_in_a_row: int = 0
    is_paused: bool = False
    """Kafka is asked for no more of it."""
    apart: asyncio.Task[None] | None = None
    """It is in trouble, and tried again by this task, so that the others need not wait."""
    is_revoked: bool = False

    def hold(self, messages: Sequence[Message]) -> None:
        self.held.extend(messages)
        self.held_bytes += sum(map(len, messages))

    def drop(self, count: int) -> None:
        """Forgets the oldest: they are done with."""
        for _ in range(count):
            self.held_bytes -= len(self.held.popleft())

    def is_full(self) -> bool:
        return len(self.held) > MOST_HELD or self.held_bytes > MOST_HELD_BYTES

    def wants_more(self) -> bool:
        return len(self.held) < MOST_HELD // 2 and self.held_bytes < MOST_HELD_BYTES // 2


@dataclass
class Portion:
    """The head of a partition, read: what is handled next."""

    partition: Partition
    messages: list[Message] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)
    """Offset → why that record is invalid."""
    events: list[ConsumerRecord[Event]] = field(default_factory=list)
    wait_seconds: float = 0.0
    """Above 0: what comes next is of a workload that is not known yet, and may wait so long for it."""


def read_portion(
    partition: Partition, kind: type[Event], unknown: UnknownWorkloads, most: int, now: float
) -> Portion:
    """The head of the partition, at most so many records, and none behind one that waits for its workload."""
    portion = Portion(partition)
    for message in islice(partition.held, most):
        offset = offset_of(message)
        try:
            event = read_record(kind, message)
        except InvalidMessage as invalid:
            portion.reasons[offset] = str(invalid)
        else:
            waits = unknown.seconds_to_wait(event, message.timestamp()[1] / 1000, now)
            if waits:
                portion.wait_seconds = waits
                break
            if waits == 0:
                portion.reasons[offset] = REASON
            else:
                portion.events.append(ConsumerRecord(event, partition.number, offset))
        portion.messages.append(message)
    return portion


def offset_of(message: Message) -> int:
    offset: int | None = message.offset()
    assert offset is not None, "a record that was consumed has its place"
    return offset
