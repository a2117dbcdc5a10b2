"""A few records a second of a topic that has very many, and the number of those between; pure."""

from __future__ import annotations

from typing import Generic, TypeVar

MOST_A_SECOND = 5.0
MOST_AT_ONCE = 20.0  # a few that come together are all seen

T = TypeVar("T")


class Sampler(Generic[T]):
    """A bucket of tokens that fills again, one for each record that is taken."""

    def __init__(self, most_a_second: float = MOST_A_SECOND, most_at_once: float = MOST_AT_ONCE) -> None:
        self._rate, self._most = most_a_second, most_at_once
        self._tokens, self._at = most_at_once, 0.0
        self._unseen = 0
        self._last: T | None = None

    def takes(self, record: T, now: float) -> bool:
        """Whether this record is to be read; else it is counted. `now` in seconds of a clock that goes on."""
        if self._last is not None:
            self._unseen, self._last = self._unseen + 1, None
        if self._has_token(now):
            return True
        self._last = record
        return False

    def left(self, now: float) -> T | None:
        """The last record that was not taken, once it may be: so that no number waits for the next one."""
        if self._last is None or not self._has_token(now):
            return None
        last, self._last = self._last, None
        return last

    def unseen(self) -> int:
        """How many were passed over since it was asked before."""
        passed, self._unseen = self._unseen, 0
        return passed

    def _has_token(self, now: float) -> bool:
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
