"""One file of whole record batches: the active one is appended to, closed ones are read when asked for."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from deploy.laptop.kafka import index_file
from deploy.laptop.kafka.batch import HEADER, BatchHeader, InvalidBatch, at_offset, with_header
from deploy.laptop.kafka.index_file import Checkpoint, SegmentFacts, WrongIndex
from deploy.laptop.kafka.segment_scan import headers
from deploy.laptop.kafka.sparse_index import INTERVAL_BYTES, SparseIndex


class OpenFile:
    """A file that closes when nobody holds it any more: a reader in another thread may be the last one."""

    def __init__(self, path: Path, flags: int) -> None:
        self.fd = -1
        self.fd = os.open(path, flags, 0o644)

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


class Segment:
    """Batches at `base_offset` and after. May be read in another thread while this one appends."""

    def __init__(self, path: Path, facts: SegmentFacts, index: SparseIndex | None = None) -> None:
        """Closed, until `open` is called; without `index` it is read from its file when it is needed."""
        self.path = path
        self.base_offset = facts.base_offset
        self.next_offset = facts.next_offset
        self.size = facts.size
        self.max_timestamp = facts.max_timestamp
        self.born_ms = facts.born_ms
        self.shown_size, self.shown_offset = self.size, self.next_offset
        self._last_position = facts.last_position
        self._index = index
        self._file: OpenFile | None = None

    @classmethod
    def new(cls, folder: Path, base_offset: int) -> "Segment":
        """An empty one to append to; made if it is not there."""
        path = folder / f"{base_offset:020d}.log"
        segment = cls(path, SegmentFacts(base_offset, base_offset, 0, 0, -1, _now_ms()), SparseIndex())
        segment.open()
        return segment

    def open(self) -> None:
        """For appending; whatever lies behind the last whole batch is cut off."""
        self._file = OpenFile(self.path, os.O_RDWR | os.O_CREAT)
        if os.fstat(self._file.fd).st_size > self.size:  # else its time of writing would change
            os.ftruncate(self._file.fd, self.size)

    def append(self, data: bytes, header: BatchHeader, *, shown: bool) -> BatchHeader:
        """Write one checked batch at the next offset; raises OSError and leaves the segment as it was.

        Writes go to a position and not to the file's end: whatever a failed write left there is cut off, or
        overwritten by the next one if even cutting fails. What is not `shown` yet is not read either.
        """
        assert self._file is not None
        placed = at_offset(header, self.next_offset)
        try:
            written = os.pwritev(self._file.fd, with_header(placed, data), self.size)
            if written != placed.size:
                raise OSError(f"{self.path}: {written} of {placed.size} bytes were written (disk full?)")
        except OSError:
            os.ftruncate(self._file.fd, self.size)
            raise
        if not self.size:
            self.born_ms = _now_ms()
        self._note(placed)
        if shown:
            self.show(self.size, self.next_offset)
        return placed

    def _note(self, header: BatchHeader) -> None:
        assert self._index is not None
        self._index.note(self.size, header.base_offset, header.max_timestamp)
        self._last_position = self.size
        self.size += header.size
        self.max_timestamp = max(self.max_timestamp, header.max_timestamp)
        self.next_offset = header.next_offset

    def show(self, size: int, offset: int) -> None:
        """Readers see what lies before byte `size` and before `offset`."""
        self.shown_size, self.shown_offset = size, offset

    def read(self, offset: int, max_bytes: int, *, first_whole: bool) -> tuple[bytes, bool]:
        """Whole batches from the one that reaches `offset` on, at most `max_bytes`; and whether that is all.

        With `first_whole` the first batch comes even if it alone is larger, or big messages would stall.
        """
        size, index, file = self.shown_size, self._entries(), self._opened()
        start = _start_of(file, index, offset, size)
        if start is None:
            return b"", True
        end = size
        if size - start > max_bytes:
            end = _boundary_before(file, index, start + max_bytes, size)
            if end <= start:
                if not first_whole:
                    return b"", False
                end = start + BatchHeader.parse(os.pread(file.fd, HEADER.size, start)).size
        return os.pread(file.fd, end - start, start), end == size

    def batches_reaching(self, timestamp: int) -> Iterator[bytes]:
        """Each batch that holds a record of `timestamp` (ms) or later, in order."""
        size, index, file = self.shown_size, self._entries(), self._opened()
        for entry in index.reaching(timestamp):
            for position, header in _batches(file, index, entry, size):
                if header.max_timestamp >= timestamp:
                    yield os.pread(file.fd, header.size, position)

    def _opened(self) -> OpenFile:
        return self._file or OpenFile(self.path, os.O_RDONLY)

    def _entries(self) -> SparseIndex:
        index = self._index
        if index is None:
            try:
                checkpoint = index_file.read(self.path)
                if checkpoint.facts.size != self.size:
                    raise WrongIndex(f"{self.path} has {self.size} bytes, its index knows others")
                index = checkpoint.index
            except WrongIndex:  # damaged, or somebody touched it while we ran
                index = self._index_from_batches()
            self._index = index
        return index

    def _index_from_batches(self) -> SparseIndex:
        index, file = SparseIndex(), self._opened()
        try:
            for position, header in headers(file.fd, 0, self.size, self.base_offset, verify=False):
                index.note(position, header.base_offset, header.max_timestamp)
        except InvalidBatch as problem:
            raise OSError(f"{self.path} was changed while the broker ran: {problem}") from problem
        return index

    def unload(self) -> None:
        """Keep no index in memory; what the segment's file of it says is read again when it is needed."""
        self._index = None

    def checkpoint(self, producers: bytes) -> Checkpoint:
        facts = SegmentFacts(
            self.base_offset,
            self.next_offset,
            self.size,
            self._last_position,
            self.max_timestamp,
            self.born_ms,
        )
        return Checkpoint(facts, self._entries(), producers)

    def held(self) -> OpenFile:
        """The active segment's file, for whoever syncs it later: held, it stays open."""
        assert self._file is not None
        return self._file

    def seal(self) -> OpenFile:
        """Close for good; gives back the file, which may still have to be synced."""
        file = self.held()
        os.ftruncate(file.fd, self.size)  # what a failed write may have left
        self._file = None
        return file

    def close(self) -> None:
        self._file = None

    def remove(self) -> None:
        """The files; readers that have them open read on."""
        self.path.unlink(missing_ok=True)
        index_file.path_of(self.path).unlink(missing_ok=True)


def _batches(file: OpenFile, index: SparseIndex, entry: int, size: int) -> Iterator[tuple[int, BatchHeader]]:
    """(position, header) of the entry's batches within the segment's first `size` bytes."""
    if entry >= len(index):
        return
    start, end = index.positions[entry], index.end_of(entry, size)
    data = os.pread(file.fd, min(INTERVAL_BYTES + HEADER.size, max(end - start, 0)), start)
    position = start
    while position < end:
        header = BatchHeader.parse(data, position - start)
        yield position, header
        position += header.size


def _start_of(file: OpenFile, index: SparseIndex, offset: int, size: int) -> int | None:
    """Where the first batch begins that reaches `offset`; None if it lies behind `size` bytes."""
    entry = index.entry_of(offset)
    if entry < len(index) and index.offsets[entry] == offset:
        position = index.positions[entry]
    else:
        found = (at for at, header in _batches(file, index, entry, size) if header.next_offset > offset)
        position = next(found, index.end_of(entry, size))
    return position if position < size else None


def _boundary_before(file: OpenFile, index: SparseIndex, limit: int, size: int) -> int:
    """The end of the last batch that ends at or before byte `limit`."""
    entry = index.entry_at(limit)
    boundary: int = index.positions[entry]
    for position, header in _batches(file, index, entry, size):
        if position + header.size > limit:
            break
        boundary = position + header.size
    return boundary


def _now_ms() -> int:
    return int(time.time() * 1000)
