"""How far a service is on each partition and what it waits for: told by the loop, asked by the thread."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from shared.consumer.offsets import Committable, HandledOffsets
from shared.consumer.records import Place
from shared.consumer.waiting import Waiting

SAID_AFTER = timedelta(seconds=5)  # what is over sooner is not worth a note


class Progress:
    """HandledOffsets with a lock around them, and with notes on what has waited for seconds."""

    def __init__(self) -> None:
        self._offsets, self._lock = HandledOffsets(), threading.Lock()
        self._waiting: dict[Place, Waiting | None] = {}

    def assign(self, starts: Mapping[Place, Committable]) -> None:
        with self._lock:
            self._offsets.assign(starts)
            for place in starts:
                self._waiting.pop(place, None)

    def revoke(self, places: Iterable[Place]) -> dict[Place, Committable]:
        """What of them is still to be committed, for the last time. Their notes stay for the next process."""
        with self._lock:
            return self._offsets.revoke(places)

    def handled(self, place: Place, next_offset: int) -> None:
        with self._lock:
            self._offsets.handled(place, next_offset)
            self._waiting.setdefault(place, None)  # what another process left waiting goes on

    def waits(self, place: Place, waiting: Waiting | None) -> None:
        """None: it goes on. What waits already, here or in the process before, has waited since then."""
        with self._lock:
            if waiting is not None:
                inherited = Waiting.from_note(self._offsets.note_of(place))
                before = self._waiting.get(place, inherited)
                since = min(before.since, waiting.since) if before is not None else waiting.since
                waiting = Waiting(since, waiting.why)
            self._waiting[place] = waiting

    def due(self) -> dict[Place, Committable]:
        """What is to be committed now: offsets, and notes of what has waited for seconds or waits no more."""
        said_since = datetime.now(UTC) - SAID_AFTER
        with self._lock:
            for place, waiting in self._waiting.items():
                is_said = waiting is not None and waiting.since < said_since
                self._offsets.note(place, waiting.to_note() if waiting is not None and is_said else "")
            return self._offsets.due()

    def committed(self, offsets: Mapping[Place, Committable]) -> None:
        with self._lock:
            self._offsets.committed(offsets)

    def following(self) -> dict[Place, int]:
        """The offset of the next record to handle, of each partition that is here."""
        with self._lock:
            return {place: self._offsets.next_of(place) for place in self._offsets.places()}
