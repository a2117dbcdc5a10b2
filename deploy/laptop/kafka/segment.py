"""One append-only file of whole record batches, with an index in memory of where each starts."""

import logging
import os
import time
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

from deploy.laptop.kafka.batch import HEADER, BatchHeader, InvalidBatch, check, stamped

logger = logging.getLogger(__name__)


class DamagedSegment(Exception):
    """A closed segment does not consist of whole batches; the broker does not guess what is missing."""


class Segment:
    """Batches at `base_offset` and after. Only the last segment of a log is written to."""

    def __init__(self, folder: Path, base_offset: int) -> None:
        self.path = folder / f"{base_offset:020d}.log"
        self.base_offset = base_offset
        self.next_offset = base_offset
        self.size = 0
        self.max_timestamp = -1
        self._offsets = array("q")
        self._positions = array("q")
        self._max_timestamps = array("q")
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        self.born_ms = int(os.fstat(self._file).st_mtime * 1000)

    def load(self, *, is_last: bool) -> Iterator[BatchHeader]:
        """Rebuild the index from the file, yielding each header.

        Of the last segment every checksum is tried, and the file is cut at the first batch that is torn or
        damaged. Closed segments were whole when they were closed: only their headers are read, and a chain
        of headers that does not end at the file's end raises DamagedSegment.
        """
        file_size = os.fstat(self._file).st_size
        while self.size < file_size:
            try:
                header = self._header_at(self.size, file_size, verify=is_last)
            except InvalidBatch as problem:
                if not is_last:
                    raise DamagedSegment(f"{self.path} at byte {self.size}: {problem}") from problem
                logger.warning(
                    "%s: cut %d bytes from byte %d on: %s",
                    self.path,
                    file_size - self.size,
                    self.size,
                    problem,
                )
                os.ftruncate(self._file, self.size)
                return
            self._note(header)
            yield header

    def _header_at(self, position: int, file_size: int, *, verify: bool) -> BatchHeader:
        header = BatchHeader.parse(os.pread(self._file, HEADER.size, position))
        if header.size < HEADER.size or position + header.size > file_size:
            raise InvalidBatch(f"the batch says {header.size} bytes, here are {file_size - position}")
        if header.base_offset < self.next_offset:
            raise InvalidBatch(f"offset {header.base_offset} came where {self.next_offset} was due")
        if verify:
            check(os.pread(self._file, header.size, position))
        return header

    def append(self, data: bytes, header: BatchHeader) -> BatchHeader:
        """Write one checked batch at the next offset; raises OSError and leaves the segment as it was.

        Writes go to a position and not to the file's end: whatever a failed write left there is cut off, or
        overwritten by the next one if even cutting fails.
        """
        placed = header._replace(base_offset=self.next_offset)
        try:
            written = os.pwritev(self._file, stamped(data, self.next_offset), self.size)
            if written != header.size:
                raise OSError(f"{self.path}: {written} of {header.size} bytes were written (disk full?)")
        except OSError:
            os.ftruncate(self._file, self.size)
            raise
        if not self.size:
            self.born_ms = int(time.time() * 1000)
        self._note(placed)
        return placed

    def _note(self, header: BatchHeader) -> None:
        self._offsets.append(header.base_offset)
        self._positions.append(self.size)
        self._max_timestamps.append(header.max_timestamp)
        self.size += header.size
        self.max_timestamp = max(self.max_timestamp, header.max_timestamp)
        self.next_offset = header.next_offset

    def read(self, offset: int, max_bytes: int, *, first_whole: bool) -> tuple[bytes, int]:
        """Whole batches from the one that holds `offset` on, at most `max_bytes`; and the offset after them.

        With `first_whole` the first batch comes even if it alone is larger, or big messages would stall.
        """
        first = max(bisect_right(self._offsets, offset) - 1, 0)
        if first >= len(self._offsets):
            return b"", offset
        start = self._positions[first]
        if self.size - start <= max_bytes:
            return os.pread(self._file, self.size - start, start), self.next_offset
        after = bisect_right(self._positions, start + max_bytes) - 1  # the first batch that no longer fits
        if after <= first:
            if not first_whole:
                return b"", offset
            after = first + 1
        is_all = after == len(self._positions)
        end = self.size if is_all else self._positions[after]
        reached = self.next_offset if is_all else self._offsets[after]
        return os.pread(self._file, end - start, start), reached

    def batches_reaching(self, timestamp: int) -> Iterator[bytes]:
        """Each batch that holds a record of `timestamp` (ms) or later, in order."""
        for index, reached in enumerate(self._max_timestamps):
            if reached >= timestamp:
                start = self._positions[index]
                end = self._positions[index + 1] if index + 1 < len(self._positions) else self.size
                yield os.pread(self._file, end - start, start)

    def trim(self) -> None:
        """Cut what a failed write may have left behind the last whole batch; before the segment is closed."""
        os.ftruncate(self._file, self.size)

    def close(self) -> None:
        os.close(self._file)

    def drop(self) -> None:
        self.close()
        self.path.unlink()
