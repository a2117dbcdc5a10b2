"""Which offsets may be committed: those up to which everything was handled, partition by partition; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.consumer.records import Place


class HandledOffsets:
    """Offsets are of the next record to handle, as Kafka commits them.

    A position, how far records were read, is never committed: a kill would lose what lies between.
    """

    def __init__(self) -> None:
        self._next: dict[Place, int] = {}
        self._committed: dict[Place, int] = {}

    def assign(self, starts: Mapping[Place, int]) -> None:
        """Where each partition begins: at its committed offset, or at 0 if there is none."""
        self._next.update(starts)
        self._committed.update(starts)

    def handled(self, place: Place, next_offset: int) -> None:
        """Everything before `next_offset` is done with. Of a partition that has gone, nothing is noted."""
        if place in self._next:
            self._next[place] = max(next_offset, self._next[place])

    def due(self) -> dict[Place, int]:
        """What is handled and not committed."""
        return {place: to for place, to in self._next.items() if to > self._committed[place]}

    def committed(self, offsets: Mapping[Place, int]) -> None:
        for place, offset in offsets.items():
            if place in self._committed:
                self._committed[place] = max(offset, self._committed[place])

    def revoke(self, places: Iterable[Place]) -> dict[Place, int]:
        """Forgets these partitions; gives what of them is still to be committed, for the last time."""
        due, last = self.due(), {}
        for place in places:
            if place in due:
                last[place] = due[place]
            self._next.pop(place, None)
            self._committed.pop(place, None)
        return last

    def places(self) -> list[Place]:
        return list(self._next)

    def next_of(self, place: Place) -> int:
        """The offset of the next record to handle. Raises KeyError if the partition is somebody else's."""
        return self._next[place]
