"""Records of a partition that have come, and its head: what of it is handled next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from shared.consumer.invalid_limit import InvalidSeen
from shared.consumer.reading import Records
from shared.consumer.records import ConsumerRecord, Invalid
from shared.consumer.unknown_workload import REASON, UnknownWorkloads

MOST_HELD = 40_000  # records of one topic in memory: a batch that is handled, and one that gathers
MOST_HELD_BYTES = 48 << 20
LEAST_HELD, LEAST_HELD_BYTES = 1000, 2 << 20  # of a partition, however many there are


@dataclass
class Partition:
    """Records of one partition that have come and are not handled, the oldest first."""

    number: int
    held: deque[ConsumerRecord[object]] = field(default_factory=deque)
    held_bytes: int = 0
    seen: InvalidSeen = field(default_factory=InvalidSeen)
    failures: int = 0
    """In a row."""
    in_trouble_since: datetime | None = None
    is_held_back: bool = False
    """Kafka is asked for no more of it."""
    apart: asyncio.Task[None] | None = None
    """It is in trouble, and tried again by this task, so that the others need not wait."""
    is_revoked: bool = False

    def hold(self, records: Records) -> None:
        self.held.extend(records)
        self.held_bytes += sum([record.size for record in records])

    def drop(self, count: int) -> None:
        """Forgets the oldest: they are done with."""
        gone = [self.held.popleft() for _ in range(count)]
        self.held_bytes -= sum([record.size for record in gone])

    def is_full(self, partitions: int) -> bool:
        """Whether it holds more than its share of what may be held, as one of so many."""
        most = max(LEAST_HELD, MOST_HELD // partitions)
        return len(self.held) > most or self.held_bytes > max(LEAST_HELD_BYTES, MOST_HELD_BYTES // partitions)

    def wants_more(self, partitions: int) -> bool:
        most = max(LEAST_HELD, MOST_HELD // partitions) // 2
        most_bytes = max(LEAST_HELD_BYTES, MOST_HELD_BYTES // partitions) // 2
        return len(self.held) < most and self.held_bytes < most_bytes


@dataclass
class Portion:
    """The head of a partition: what is handled next."""

    partition: Partition
    records: Records
    reasons: dict[int, str] = field(default_factory=dict)
    """Offset → why that record is invalid."""
    events: Records = field(default_factory=list)
    """Those that are not."""
    wait_seconds: float = 0.0
    """Above 0: what comes next is of a workload that is not known yet, and may wait so long for it."""

    def invalid(self, count: int) -> list[Invalid]:
        """Among the first `count`."""
        reasons = self.reasons
        return [
            Invalid(record, reasons[record.offset])
            for record in self.records[:count]
            if record.offset in reasons
        ]


def next_portion(
    partition: Partition, unknown: UnknownWorkloads, most: int, most_bytes: int, now: float
) -> Portion:
    """The head of the partition, at most so many records and bytes but at least one of them, and none behind
    one that waits for its workload. `now` in Unix time.
    """
    records = list(islice(partition.held, most))
    if partition.held_bytes > most_bytes:
        records = records[: _within(most_bytes, records)]
    portion = Portion(partition, records, events=[record for record in records if record.reason is None])
    if len(portion.events) < len(records):
        portion.reasons = {record.offset: record.reason for record in records if record.reason is not None}
    if not unknown.all_known([record.event for record in portion.events]):
        _wait_for_workloads(portion, unknown, now)
    return portion


def _within(most_bytes: int, records: Sequence[ConsumerRecord[object]]) -> int:
    """How many of them have no more bytes than that, at least one."""
    left = most_bytes
    for number, record in enumerate(records):
        left -= record.size
        if left < 0:
            return max(1, number)
    return len(records)


def _wait_for_workloads(portion: Portion, unknown: UnknownWorkloads, now: float) -> None:
    """All of them are asked about, so that many unknown names wait together and not one after the other."""
    records, portion.records, portion.events = portion.records, [], []
    waits = [
        unknown.seconds_to_wait(record.event, record.appended_at / 1000, now) if record.reason is None else 0
        for record in records
    ]
    for record, seconds in zip(records, waits, strict=True):
        if seconds:
            portion.wait_seconds = seconds
            return
        if seconds is None:
            portion.events.append(record)
        elif record.reason is None:
            portion.reasons[record.offset] = REASON
        portion.records.append(record)
