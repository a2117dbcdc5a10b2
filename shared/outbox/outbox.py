"""The transactional outbox: records on their way to Kafka, on disk before anybody is told that they are kept.

It is made of segments of lines. A new process never appends to an old segment, so a line that a crash tore is
the last of its segment. It was never acknowledged and is not read. One loop appends, one thread reads.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.events.envelope import Record
from shared.files import write_atomically
from shared.outbox.lines import NotARecord, lines_of, record_in

BITE = 250

log = logging.getLogger(__name__)


class NotRecorded(Exception):
    """The records could not be written: there is no room, or the disk refuses."""


@dataclass(frozen=True)
class OutboxSettings:
    segment_bytes: int = 8 << 20
    """Size of one file; it goes when Kafka has all of it."""
    most_bytes: int = 8 << 30
    """What may wait on the disk."""
    fsync: bool = False
    """Whether a record is to survive the machine's death too, or this process's only."""
    alarm_age_seconds: float = 86_400.0
    """When records have waited so long, it is said loudly. They are kept nevertheless."""


@dataclass(frozen=True, order=True)
class Place:
    """Up to where the outbox has been published: a segment's number and a byte offset in it."""

    segment: int
    offset: int


class Outbox:
    """The outbox in one folder, whose lock its maker took. Nothing of a line is kept in memory.

    Without a lock it is nobody's folder: nothing in it is read, and nothing written.
    """

    def __init__(self, folder: Path, settings: OutboxSettings, lock: int | None) -> None:
        self.folder, self.settings, self._lock = folder, settings, lock
        segments = [] if lock is None else sorted(folder.glob("*.jsonl"))
        self._sizes = {int(path.stem): path.stat().st_size for path in segments}
        """By number of the segment: what may be read of it."""
        self._total_bytes = sum(self._sizes.values())
        self.published = Place(0, 0) if lock is None else self._published_before()
        """Everything before this place is in Kafka."""
        self._number = max([self.published.segment, *self._sizes])
        self._file = -1
        self._changing = threading.Lock()
        self.written = threading.Event()
        """Set by every append; whoever delivers clears it."""
        self._appends = self._synced_appends = 0
        self._syncing = asyncio.Lock()
        self.oldest_at: int | None = self._first_line_at()
        """When the oldest record was appended that is not in Kafka yet: milliseconds of Unix time."""

    @property
    def backlog_bytes(self) -> int:
        """What is written and not yet published."""
        with self._changing:
            return self._backlog_bytes()

    @property
    def end(self) -> Place:
        """After everything that any process has written here so far, and before all that comes."""
        return Place(self._number + 1, 0)

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest record has waited for Kafka; 0 when none waits."""
        oldest_at = self.oldest_at
        return 0.0 if oldest_at is None else max(0.0, time.time() - oldest_at / 1000)

    async def append(self, records: Sequence[Record]) -> None:
        """Returns when the operating system has all of them (with `fsync`: when the disk has them).

        Raises NotRecorded. None of them is then in the outbox; after a failed sync they may still be.
        """
        at = int(time.time() * 1000)
        lines = [lines_of(records[:BITE], at)]
        for start in range(BITE, len(records), BITE):
            await asyncio.sleep(0)  # so many lines at a stretch; then others have their turn
            lines.append(lines_of(records[start : start + BITE], at))
        self._write(b"".join(lines), at)
        self._appends += 1
        if self.settings.fsync:
            await self._sync(self._appends)
        self.written.set()

    def read(self, place: Place, most_bytes: int) -> tuple[list[bytes], Place]:
        """Some whole lines from `place` on, and the place after them; no lines if there are no more yet.

        One line is given whole however long it is.
        """
        with self._changing:
            sizes = sorted(self._sizes.items())
        for number, size in sizes:
            if number < place.segment:
                continue
            offset = place.offset if number == place.segment else 0
            with self._path(number).open("rb") as segment:
                segment.seek(offset)
                block = segment.read(min(most_bytes, size - offset))
                if block and b"\n" not in block:
                    block += segment.readline()[: size - offset - len(block)]
            whole = block[: block.rfind(b"\n") + 1]
            if whole:
                return whole.split(b"\n")[:-1], Place(number, offset + len(whole))
        return [], place

    def mark_published(self, place: Place) -> None:
        """Everything before `place` is in Kafka: remembers it, and removes the segments before its own.

        A disk that is too full to remember still gets its room back.
        """
        try:
            self._note(place)
        except OSError as error:
            log.error("%s: no note of what is published: %s; it may come twice", self.folder, error.strerror)
        with self._changing:
            self.published = place
            gone = [number for number in self._sizes if number < place.segment]
            for number in gone:
                self._total_bytes -= self._sizes.pop(number)
            if self._backlog_bytes() == 0:
                self.oldest_at = None
        for number in gone:
            self._path(number).unlink(missing_ok=True)

    def _note(self, place: Place) -> None:
        content = json.dumps({"segment": place.segment, "offset": place.offset}).encode()
        if self.settings.fsync:
            write_atomically(self.folder / "published.json", content)
        else:
            partial = self.folder / ".published.json.partial"
            partial.write_bytes(content)
            partial.rename(self.folder / "published.json")

    def set_aside(self, line: bytes, name: str) -> None:
        """Keeps a line that cannot be published in a file of that name beside."""
        with (self.folder / name).open("ab") as kept:
            kept.write(line + b"\n")

    def close(self) -> None:
        """Somebody else may have the folder now."""
        if self._file >= 0:
            os.close(self._file)
        if self._lock is not None:
            os.close(self._lock)

    def _write(self, lines: bytes, at: int) -> None:
        with self._changing:
            if self._lock is None:
                raise NotRecorded("the disk refused an outbox when this process began")
            if self._backlog_bytes() + len(lines) > self.settings.most_bytes:
                raise NotRecorded(f"{self.settings.most_bytes} bytes of records already wait for Kafka")
            if self._file < 0 or self._sizes[self._number] >= self.settings.segment_bytes:
                self._next_segment()
            before = self._sizes[self._number]
            try:
                written = os.write(self._file, lines)
                if written < len(lines):
                    os.ftruncate(self._file, before)
                    raise NotRecorded("the disk took only a part of the records")
            except OSError as error:
                raise NotRecorded(f"the records could not be written: {error.strerror}") from error
            self._sizes[self._number] = before + written
            self._total_bytes += written
            if self.oldest_at is None:
                self.oldest_at = at

    def _backlog_bytes(self) -> int:
        of_its_segment = self.published.offset if self.published.segment in self._sizes else 0
        return self._total_bytes - of_its_segment

    async def _sync(self, append: int) -> None:
        async with self._syncing:  # one sync serves every append that was written before it began
            if self._synced_appends >= append:
                return
            covered, file = self._appends, os.dup(self._file)
            try:
                await asyncio.to_thread(os.fdatasync, file)
            except OSError as error:
                raise NotRecorded(f"the records could not be synced: {error.strerror}") from error
            finally:
                os.close(file)
            self._synced_appends = covered

    def _next_segment(self) -> None:
        number = self._number + 1
        try:
            if self.settings.fsync and self._file >= 0:
                os.fdatasync(self._file)  # its last lines wait for a sync, and that will go to the new file
            file = os.open(self._path(number), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            if self.settings.fsync:
                _sync_folder(self.folder)
        except OSError as error:
            raise NotRecorded(f"no new segment could be made: {error.strerror}") from error
        if self._file >= 0:
            os.close(self._file)
        self._file, self._number = file, number
        self._sizes[number] = 0

    def _published_before(self) -> Place:
        try:
            return Place(**json.loads((self.folder / "published.json").read_bytes()))
        except FileNotFoundError:
            pass
        except (ValueError, TypeError):  # as a crash of the machine may leave it
            log.error(
                "%s: the note of what is published cannot be read; all of it is published again", self.folder
            )
        return Place(0, 0)

    def _first_line_at(self) -> int | None:
        lines, place = self.read(self.published, 1)
        if not lines:
            return None
        try:
            at = record_in(lines[0])[1]
        except NotARecord:
            at = None
        return at or int(self._path(place.segment).stat().st_mtime * 1000)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:012d}.jsonl"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
