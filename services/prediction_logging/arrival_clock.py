"""When a batch arrived: later than all that arrived before it, whatever the clocks do.

The first write of an id holds, and "first" is told by this time. A clock that was set back, or that of
another machine, must not make a later write look like the first. So the time that is told is the clock's, or
just after the latest one that was seen (a hybrid logical clock, Kulkarni et al. 2014).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

NS_PER_MS = 1_000_000


@dataclass
class ArrivalClock:
    """Of one process. Nanoseconds since 1970."""

    latest: int = 0
    """The latest arrival that this process told or was told of."""
    _next_offsets: dict[int, int] = field(default_factory=dict)

    def goes_on(self, spans: Mapping[int, tuple[int, int]]) -> bool:
        """Whether the batch (partition → its first and last offset) begins where this process stopped.

        Where it does not, another process may have stored what lies before, by its own clock.
        """
        return all(self._next_offsets.get(number) == first for number, (first, _) in spans.items())

    def follow(self, latest: int) -> None:
        """Takes note of an arrival that somebody else told."""
        self.latest = max(self.latest, latest)

    def arrival(self, moment: datetime) -> int:
        """Of a batch that is about to be stored, at `moment` by this process's clock."""
        self.latest = max(nanoseconds(moment), self.latest + 1)
        return self.latest

    def stored(self, spans: Mapping[int, tuple[int, int]]) -> None:
        """The batch is in the table."""
        self._next_offsets.update({number: last + 1 for number, (_, last) in spans.items()})


def nanoseconds(moment: datetime) -> int:
    """Since 1970, to the millisecond."""
    return int(moment.timestamp() * 1000) * NS_PER_MS
