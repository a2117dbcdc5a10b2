"""The log of one partition: segments in a folder, append, read, look up by time, and what is dropped.

Process death is safe: a batch is acknowledged after write() returned, and the kernel keeps what was written.
Power loss is covered only where the broker waits for the disk (group_commit.py): readers then see a batch
when it is synced.
"""

import logging
import os
import time
from bisect import bisect_right
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from deploy.laptop.kafka import index_file
from deploy.laptop.kafka.batch import at_time, check
from deploy.laptop.kafka.disk import Disk, sync_folder
from deploy.laptop.kafka.loading import loaded
from deploy.laptop.kafka.retention import droppable, is_expired, is_full
from deploy.laptop.kafka.segment import OpenFile, Segment
from deploy.laptop.kafka.sequences import Placed
from deploy.laptop.kafka.time_lookup import first_at_or_after
from deploy.laptop.kafka.topic_config import TopicConfig

logger = logging.getLogger(__name__)

CHECKPOINT_BYTES = 256 << 10  # what a start may have to read again of a partition


class OffsetOutOfRange(Exception):
    """The offset lies below the log's start or above its end."""


class TooLarge(Exception):
    """The batch exceeds the topic's max.message.bytes."""


class NotOffered(Exception):
    """The records are well formed, but of a kind this broker does not keep."""


class Unsynced(NamedTuple):
    """What was written to the active segment up to a moment, `size` bytes and the offset after them."""

    segment: Segment
    file: OpenFile
    size: int
    next_offset: int


class PartitionLog:
    """Offsets from `start` to `end` (exclusive). One caller at a time changes it; reading may go on beside
    that in a thread. `watchers` are told when there is more to read.
    """

    def __init__(self, folder: Path, config: TopicConfig, start: int = 0, disk: Disk | None = None) -> None:
        self.config = config
        self.watchers: set[Callable[[], None]] = set()
        self._folder = folder
        self._disk = disk or Disk()
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        self._segments, self._sequences, self._checkpoint_bytes = loaded(folder, start)
        if is_new and self._disk.waits:
            for each in (folder, folder.parent, folder.parent.parent):
                sync_folder(each)
        self._loaded: Segment | None = None
        # Damage may have cut the end off before a start that was remembered.
        self.start = min(max(start, self._segments[0].base_offset), self.end)

    @property
    def _active(self) -> Segment:
        return self._segments[-1]

    @property
    def end(self) -> int:
        """The offset that the next record gets."""
        return self._active.next_offset

    @property
    def high_watermark(self) -> int:
        """Up to where records are read: the end, or what of it is synced where that is waited for."""
        return self._active.shown_offset

    def append(self, data: bytes) -> Placed:
        """Keep one batch and say where; a batch that is here already has its old place.

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
        repeated = self._sequences.if_repeated(header)
        if repeated is not None:
            return repeated
        now_ms = _now_ms()
        if self.config.stamps_append_time:
            header = at_time(header, data, now_ms)
        if is_full(self._active, header.size, self.config, now_ms):
            self._roll()
        placed = self._active.append(data, header, shown=not self._disk.waits)
        self._sequences.note(placed, now_ms)
        if not self._disk.waits:
            self.wake()
        return Placed(placed.base_offset, placed.append_time_ms)

    def _roll(self) -> None:
        """Close the active segment and begin the next; its index file is written when it is on the disk."""
        closed, producers = self._active, self._producers()
        following = Segment.new(self._folder, self.end)
        if self._disk.waits:
            sync_folder(self._folder)
            os.fdatasync(closed.held().fd)
            closed.show(closed.size, closed.next_offset)
        file = closed.seal()
        content = index_file.encoded(closed.checkpoint(producers), is_synced=True)
        self._segments = [*self._segments, following]
        self._checkpoint_bytes = 0
        self._disk.later(partial(_finish, closed, file, content))

    def _producers(self) -> bytes:
        self._sequences.forget_silent(_now_ms())
        return self._sequences.to_bytes()

    def unsynced(self) -> Unsynced:
        active = self._active
        return Unsynced(active, active.held(), active.size, active.next_offset)

    def show(self, synced: Unsynced) -> None:
        """This much is on the disk: readers may have it."""
        if synced.size > synced.segment.shown_size:
            synced.segment.show(synced.size, synced.next_offset)
            self.wake()

    def wake(self) -> None:
        for watcher in tuple(self.watchers):
            watcher()

    def is_cold(self, offset: int) -> bool:
        """Does a reader of `offset` need a closed segment? The disk may take its time then."""
        return offset < self._active.base_offset

    def read(self, offset: int, max_bytes: int, *, first_whole: bool = True) -> bytes:
        """Whole batches from `offset` on, as stored, up to `max_bytes`; empty exactly at the end.

        With `first_whole` the first batch is given even if it alone is larger. Raises OffsetOutOfRange.
        """
        segments = self._segments
        if not self.start <= offset <= segments[-1].shown_offset:
            raise OffsetOutOfRange(f"{offset} is not within {self.start}..{segments[-1].shown_offset}")
        found: list[bytes] = []
        room = max_bytes
        first = max(bisect_right(segments, offset, key=lambda segment: segment.base_offset) - 1, 0)
        for segment in segments[first:]:
            if segment.shown_offset <= offset:
                continue
            try:
                part, is_all = segment.read(offset, room, first_whole=first_whole and not found)
            except FileNotFoundError as gone:  # retention was quicker
                raise OffsetOutOfRange(f"{offset} has just been deleted") from gone
            if segment is not segments[-1]:
                self._keep_loaded(segment)
            found.append(part)
            room -= len(part)
            if not is_all:  # the next batch no longer fits; a later one might
                break
        return b"".join(found)

    def _keep_loaded(self, segment: Segment) -> None:
        """Of all closed segments only the one that was read last has its index in memory."""
        if self._loaded is not segment:
            if self._loaded is not None:
                self._loaded.unload()
            self._loaded = segment

    def first_at_or_after(self, timestamp: int) -> tuple[int, int] | None:
        """(offset, timestamp) of the first record of `timestamp` (ms) or later, None if there is none."""
        return first_at_or_after(self._segments, timestamp, self.start)

    def newest(self) -> tuple[int, int] | None:
        """(offset, timestamp) of the record with the largest timestamp, None in an empty log."""
        largest = max(segment.max_timestamp for segment in self._segments)
        return self.first_at_or_after(largest) if largest >= 0 else None

    def move_start(self, offset: int) -> None:
        """Forget records before `offset` (within start..end); files that hold only such ones are removed."""
        self.start = max(self.start, offset)
        gone = 0
        while gone + 1 < len(self._segments) and self._segments[gone + 1].base_offset <= self.start:
            self._disk.later(self._segments[gone].remove)
            gone += 1
        self._segments = self._segments[gone:]

    def retain(self) -> None:
        """Apply retention and close a segment that is old enough; called every few seconds."""
        now_ms = _now_ms()
        if is_full(self._active, 0, self.config, now_ms) or is_expired(self._active, self.config, now_ms):
            self._roll()
        closed = self._segments[:-1]
        count = droppable(closed, self._active.size, self.config, now_ms)
        if count:
            self.move_start(self._segments[count].base_offset)

    def checkpoint(self) -> None:
        """Write down where the active segment is, if much came since; called every few seconds."""
        active = self._active
        if active.size - self._checkpoint_bytes >= CHECKPOINT_BYTES:
            is_synced = self._disk.waits and active.shown_size == active.size
            content = index_file.encoded(active.checkpoint(self._producers()), is_synced=is_synced)
            self._checkpoint_bytes = active.size
            self._disk.later(partial(index_file.write, active.path, content))

    def close(self) -> None:
        """With a last checkpoint that also holds after the machine was switched off, if the disk takes it."""
        active = self._active
        if active.size != self._checkpoint_bytes:
            content = index_file.encoded(active.checkpoint(self._producers()), is_synced=True)
            try:
                os.fdatasync(active.held().fd)
                index_file.write(active.path, content)
            except OSError as problem:
                logger.warning("%s: the next start reads more of it: %s", active.path, problem)
        for segment in self._segments:
            segment.close()


def _finish(closed: Segment, file: OpenFile, content: bytes) -> None:
    os.fdatasync(file.fd)
    index_file.write(closed.path, content)
    closed.unload()


def _now_ms() -> int:
    return int(time.time() * 1000)
