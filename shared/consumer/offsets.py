"""Which offsets may be committed: those up to which everything was handled, partition by partition; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.consumer.records import Place

UNKNOWN = -1
"""Where a partition begins if Kafka did not say: nothing is committed of it until something is handled."""
Committable = tuple[int, str]
"""An offset, and the note that stands beside it for whoever asks Kafka."""


class HandledOffsets:
    """Offsets are of the next record to handle, as Kafka commits them.

    A position, how far records were read, is never committed: a kill would lose what lies between.
    """

    def __init__(self) -> None:
        self._next: dict[Place, int] = {}
        self._note: dict[Place, str] = {}
        self._committed: dict[Place, Committable] = {}

    def assign(self, starts: Mapping[Place, Committable]) -> None:
        """Where each partition begins: at its committed offset, or at 0 if there is none."""
        for place, start in starts.items():
            self._next[place], self._note[place] = start
            self._committed[place] = start

    def handled(self, place: Place, next_offset: int) -> None:
        """Everything before `next_offset` is done with. Of a partition that has gone, nothing is noted."""
        if place in self._next:
            self._next[place] = max(next_offset, self._next[place])

    def note(self, place: Place, note: str) -> None:
        """What is to stand beside the offset from now on."""
        if place in self._next:
            self._note[place] = note

    def note_of(self, place: Place) -> str:
        return self._note.get(place, "")

    def due(self) -> dict[Place, Committable]:
        """What is handled, or noted, and not committed."""
        return {
            place: (to, self._note[place])
            for place, to in self._next.items()
            if to != UNKNOWN
            and (to > self._committed[place][0] or self._note[place] != self._committed[place][1])
        }

    def committed(self, offsets: Mapping[Place, Committable]) -> None:
        for place, (offset, note) in offsets.items():
            if place in self._committed:
                self._committed[place] = max(offset, self._committed[place][0]), note

    def revoke(self, places: Iterable[Place]) -> dict[Place, Committable]:
        """Forgets these partitions; gives what of them is still to be committed, for the last time."""
        due, last = self.due(), {}
        for place in places:
            if place in due:
                last[place] = due[place]
            for held in (self._next, self._note, self._committed):
                held.pop(place, None)
        return last

    def places(self) -> list[Place]:
        return list(self._next)

    def next_of(self, place: Place) -> int:
        """The offset of the next record to handle. Raises KeyError if the partition is somebody else's."""
        return self._next[place]
