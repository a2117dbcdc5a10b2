"""The transactional outbox: records of answers on their way to Kafka, on disk before the answer is given.

It is made of segments of JSON lines. A new process never appends to an old segment, so a line that a
crash tore is the last of its segment. It was never acknowledged and is not read.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path

from shared.files import write_atomically

READ_BYTES = 2 << 20  # longer than any line: Kafka takes records up to 1 MB


class NotRecorded(Exception):
    """The record could not be written, so the answer must not be given. Make room on the disk."""


class InUse(Exception):
    """Another process writes this outbox. Give each gateway a state folder of its own."""


@dataclass(frozen=True, order=True)
class Place:
    """Up to where the outbox has been published: a segment's number and a byte offset in it."""

    segment: int
    offset: int


class Outbox:
    """One process's outbox, for one event loop. Nothing of a line is kept in memory."""

    def __init__(self, folder: Path, *, segment_bytes: int, most_bytes: int, fsync: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._segment_bytes, self._most_bytes = folder, segment_bytes, most_bytes
        self._fsync = fsync
        self._lock = _locked(folder / "lock")
        self._sizes = {int(path.stem): path.stat().st_size for path in folder.glob("*.jsonl")}
        self.published = self._published_before()
        """Everything before this place is in Kafka."""
        self._number = max([self.published.segment, *self._sizes])
        self._file = -1
        self._next_segment()
        self._written = asyncio.Event()
        self._lines = self._synced_lines = 0
        self._syncing = asyncio.Lock()

    @property
    def backlog_bytes(self) -> int:
        """What is written and not yet published."""
        return sum(
            size - (self.published.offset if number == self.published.segment else 0)
            for number, size in self._sizes.items()
            if number >= self.published.segment
        )

    async def append(self, line: bytes) -> None:
        """Returns when the operating system has the line (with `fsync`: when the disk has it).

        Raises NotRecorded. The line is then not in the outbox; after a failed sync it may still be.
        """
        self._write(line + b"\n")
        self._lines += 1
        if self._fsync:
            await self._sync(self._lines)
        self._written.set()

    def read(self, place: Place) -> tuple[list[bytes], Place]:
        """Some whole lines from `place` on, and the place after them; no lines if there are no more yet."""
        for number in sorted(number for number in self._sizes if number >= place.segment):
            offset = place.offset if number == place.segment else 0
            with self._path(number).open("rb") as segment:
                segment.seek(offset)
                block = segment.read(min(READ_BYTES, self._sizes[number] - offset))
            whole = block[: block.rfind(b"\n") + 1]
            if whole:
                return whole.split(b"\n")[:-1], Place(number, offset + len(whole))
        return [], place

    async def wait(self) -> None:
        """Returns when something was appended since the last call."""
        await self._written.wait()
        self._written.clear()

    async def mark_published(self, place: Place) -> None:
        """Remembers that everything before `place` is in Kafka, and removes the segments before its own."""
        content = json.dumps({"segment": place.segment, "offset": place.offset}).encode()
        await asyncio.to_thread(write_atomically, self._folder / "published.json", content)
        self.published = place
        for number in [number for number in self._sizes if number < place.segment]:
            self._path(number).unlink()
            del self._sizes[number]

    def set_aside(self, line: bytes) -> None:
        """Keeps a line that is no record, which only a crash of the machine can leave, in a file beside."""
        with (self._folder / "damaged").open("ab") as damaged:
            damaged.write(line + b"\n")

    def close(self) -> None:
        os.close(self._file)
        os.close(self._lock)

    def _write(self, line: bytes) -> None:
        if sum(self._sizes.values()) + len(line) > self._most_bytes:
            raise NotRecorded(f"{self._most_bytes} bytes of records already wait for Kafka")
        if self._sizes[self._number] >= self._segment_bytes:
            self._next_segment()
        before = self._sizes[self._number]
        try:
            written = os.write(self._file, line)
            if written < len(line):
                os.ftruncate(self._file, before)
                raise NotRecorded("the disk took only a part of the record")
        except OSError as error:
            raise NotRecorded(f"the record could not be written: {error.strerror}") from error
        self._sizes[self._number] = before + written

    async def _sync(self, line: int) -> None:
        async with self._syncing:  # one sync serves every line that was written before it began
            if self._synced_lines >= line:
                return
            covered, file = self._lines, os.dup(self._file)
            try:
                await asyncio.to_thread(os.fdatasync, file)
            except OSError as error:
                raise NotRecorded(f"the record could not be synced: {error.strerror}") from error
            finally:
                os.close(file)
            self._synced_lines = covered

    def _next_segment(self) -> None:
        try:
            if self._fsync and self._file >= 0:
                os.fdatasync(self._file)  # its last lines wait for a sync, and that will go to the new file
            file = os.open(self._path(self._number + 1), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            if self._fsync:
                _sync_folder(self._folder)
        except OSError as error:
            raise NotRecorded(f"no new segment could be made: {error.strerror}") from error
        if self._file >= 0:
            os.close(self._file)
        self._file, self._number = file, self._number + 1
        self._sizes[self._number] = 0

    def _published_before(self) -> Place:
        path = self._folder / "published.json"
        if not path.exists():
            return Place(0, 0)
        return Place(**json.loads(path.read_bytes()))

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:012d}.jsonl"


def _locked(path: Path) -> int:
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise InUse(f"another process writes the outbox in {path.parent}") from None
    return lock


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
