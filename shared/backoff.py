"""How long to wait before something that failed is tried again, and how often to say so; pure."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_PAUSE_SECONDS = 60.0
LONGEST_SILENCE_SECONDS = 300.0


def pause_seconds(failures_in_a_row: int) -> float:
    """0.2 s after the first failure, doubled by each further one, at most a minute."""
    return min(0.1 * 2.0 ** min(failures_in_a_row, 20), LONGEST_PAUSE_SECONDS)


@dataclass
class SaysSeldom:
    """When to say again what is waited for: at once, after 1, 2, 4 … seconds, at least every 5 minutes."""

    _next: float = 0.0
    _silence: float = 1.0
    _said: str | None = None

    def is_due(self, what: str, now: float) -> bool:
        """`now` in seconds of any clock that only goes on. Something else is said at once."""
        if what != self._said:
            self._said, self._silence = what, 1.0
        elif now < self._next:
            return False
        self._next = now + self._silence
        self._silence = min(2 * self._silence, LONGEST_SILENCE_SECONDS)
        return True
