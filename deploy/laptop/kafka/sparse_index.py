"""Where batches lie in a segment: an entry for each few kilobytes, for months of small ones are many."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Self

INTERVAL_BYTES = 4096  # Kafka's own (index.interval.bytes)
ENTRY_BYTES = 24


class SparseIndex:
    """Entry i stands for the batches from `positions[i]` up to the next entry's position.

    A batch that starts INTERVAL_BYTES or more behind the last entry gets one of its own, so every header of
    an entry's batches lies within INTERVAL_BYTES of its position.
    """

    def __init__(self) -> None:
        self.offsets = array("q")
        self.positions = array("q")
        self.newest = array("q")
        """The largest timestamp (ms) among the entry's batches."""

    def __len__(self) -> int:
        return len(self.offsets)

    def note(self, position: int, offset: int, timestamp: int) -> None:
        """A batch follows; `offsets` grows last, because another thread may be looking things up by it."""
        if not self.positions or position - self.positions[-1] >= INTERVAL_BYTES:
            self.newest.append(timestamp)
            self.positions.append(position)
            self.offsets.append(offset)
        elif timestamp > self.newest[-1]:
            self.newest[-1] = timestamp

    def entry_of(self, offset: int) -> int:
        """The last entry that begins at or before the offset; the first one if none does."""
        return max(bisect_right(self.offsets, offset) - 1, 0)

    def entry_at(self, position: int) -> int:
        """The last entry that begins at or before the position."""
        return max(bisect_right(self.positions, position, hi=len(self.offsets)) - 1, 0)

    def reaching(self, timestamp: int) -> Iterator[int]:
        """Entries that hold a batch of `timestamp` or later, in order."""
        return (entry for entry, newest in enumerate(self.newest) if newest >= timestamp)

    def end_of(self, entry: int, size: int) -> int:
        """Where the entry's batches end in a segment of `size` bytes."""
        following = entry + 1
        return min(self.positions[following], size) if following < len(self.offsets) else size

    def to_bytes(self) -> bytes:
        return b"".join(column.tobytes() for column in (self.offsets, self.positions, self.newest))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` gave, on a machine of the same byte order; the caller has seen that it is whole."""
        index, third = cls(), len(data) // 3
        index.offsets.frombytes(data[:third])
        index.positions.frombytes(data[third : 2 * third])
        index.newest.frombytes(data[2 * third :])
        return index
