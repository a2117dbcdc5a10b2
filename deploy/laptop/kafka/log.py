"""The log of one partition: segments in a folder, append, read, look up by time, and what is dropped.

Process death is safe: a batch is acknowledged after write() returned, and the kernel keeps what was written.
Power loss is NOT covered: nothing is fsynced, so the last seconds before it may be missing afterwards.
"""

import time
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

from kafka.errors import UnsupportedCodecError
from kafka.record import MemoryRecords

from deploy.laptop.kafka.batch import BatchHeader, check
from deploy.laptop.kafka.retention import droppable, is_expired, is_full
from deploy.laptop.kafka.segment import Segment
from deploy.laptop.kafka.sequences import ProducerSequences
from deploy.laptop.kafka.topic_config import TopicConfig


class OffsetOutOfRange(Exception):
    """The offset lies below the log's start or above its end."""


class TooLarge(Exception):
    """The batch exceeds the topic's max.message.bytes."""


class NotOffered(Exception):
    """The records are well formed, but of a kind this broker does not keep."""


class PartitionLog:
    """Offsets from `start` to `end` (exclusive). One caller at a time; `watchers` are told of each append."""

    def __init__(self, folder: Path, config: TopicConfig, start: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.config = config
        self.watchers: set[Callable[[], None]] = set()
        self._folder = folder
        self._sequences = ProducerSequences()
        bases = sorted(int(path.stem) for path in folder.glob("*.log")) or [start]
        self._segments = [Segment(folder, base) for base in bases]
        for segment in self._segments:
            for header in segment.load(is_last=segment is self._segments[-1]):
                self._sequences.note(header, header.base_offset)
        # Damage may have cut the end off before a start that was remembered.
        self.start = min(max(start, self._segments[0].base_offset), self.end)

    @property
    def end(self) -> int:
        """The offset that the next record gets."""
        return self._segments[-1].next_offset

    def append(self, data: bytes) -> int:
        """Keep one batch and return its base offset; a batch that is here already returns its old one.

        Raises InvalidBatch, NotOffered, TooLarge, OutOfOrder, StaleEpoch, or OSError if the disk refuses:
        then nothing of the batch is left, and the next append tries anew.
        """
        header = check(data)
        if header.size != len(data):
            raise NotOffered("a request carries exactly one batch for a partition")
        if header.belongs_to_a_transaction:
            raise NotOffered("transactions are not offered by this broker")
        if header.size > self.config.max_message_bytes:
            raise TooLarge(f"{header.size} bytes, {self.config.max_message_bytes} are allowed")
        repeated = self._sequences.offset_if_repeated(header)
        if repeated is not None:
            return repeated
        placed = self._active_for(header).append(data, header)
        self._sequences.note(placed, placed.base_offset)
        self.wake()
        return placed.base_offset

    def _active_for(self, header: BatchHeader) -> Segment:
        if is_full(self._segments[-1], header.size, self.config, _now_ms()):
            self._roll()
        return self._segments[-1]

    def _roll(self) -> None:
        self._segments[-1].trim()
        self._segments.append(Segment(self._folder, self.end))

    def wake(self) -> None:
        for watcher in tuple(self.watchers):
            watcher()

    def read(self, offset: int, max_bytes: int, *, first_whole: bool = True) -> bytes:
        """Whole batches from `offset` on, as stored, up to `max_bytes`; empty exactly at the end.

        With `first_whole` the first batch is given even if it alone is larger. Raises OffsetOutOfRange.
        """
        if not self.start <= offset <= self.end:
            raise OffsetOutOfRange(f"{offset} is not within {self.start}..{self.end}")
        found: list[bytes] = []
        room = max_bytes
        first = max(bisect_right(self._segments, offset, key=lambda segment: segment.base_offset) - 1, 0)
        for segment in self._segments[first:]:
            if segment.next_offset <= offset:
                continue
            part, offset = segment.read(offset, room, first_whole=first_whole and not found)
            found.append(part)
            room -= len(part)
            if offset < segment.next_offset:  # the next batch no longer fits; a later one might
                break
        return b"".join(found)

    def first_at_or_after(self, timestamp: int) -> tuple[int, int] | None:
        """(offset, timestamp) of the first record of `timestamp` (ms) or later, None if there is none.

        Only batches that reach that far are decoded. One whose compression this Python cannot undo answers
        with its first offset: the reader then starts a few records early, never late.
        """
        for segment in self._segments:
            if segment.max_timestamp < timestamp:
                continue
            for batch in segment.batches_reaching(timestamp):
                found = _first_record(batch, timestamp, self.start)
                if found is not None:
                    return found
        return None

    def newest(self) -> tuple[int, int] | None:
        """(offset, timestamp) of the record with the largest timestamp, None in an empty log."""
        largest = max(segment.max_timestamp for segment in self._segments)
        return self.first_at_or_after(largest) if largest >= 0 else None

    def move_start(self, offset: int) -> None:
        """Forget records before `offset` (within start..end); files that hold only such ones are removed."""
        self.start = max(self.start, offset)
        while len(self._segments) > 1 and self._segments[1].base_offset <= self.start:
            self._segments.pop(0).drop()

    def retain(self) -> None:
        """Apply retention and close a segment that is old enough; called every few seconds."""
        now_ms = _now_ms()
        if is_full(self._segments[-1], 0, self.config, now_ms) or is_expired(
            self._segments[-1], self.config, now_ms
        ):
            self._roll()
        closed = self._segments[:-1]
        count = droppable(closed, self._segments[-1].size, self.config, now_ms)
        if count:
            self.move_start(self._segments[count].base_offset)

    def close(self) -> None:
        for segment in self._segments:
            segment.close()


def _now_ms() -> int:
    return int(time.time() * 1000)


def _first_record(batch: bytes, timestamp: int, start: int) -> tuple[int, int] | None:
    header = BatchHeader.parse(batch)
    try:
        for record in MemoryRecords(batch).next_batch():
            if record.timestamp >= timestamp and record.offset >= start:
                return record.offset, record.timestamp
    except UnsupportedCodecError:
        return max(header.base_offset, start), header.base_timestamp
    return None
