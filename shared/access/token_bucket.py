"""A token bucket that is one number for each who draws from it: GCRA (ITU-T I.371, 2004, Annex A)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TokenBucket:
    """Fills by `per_second` up to `burst`. Who finds a token may draw more than are there; the next waits.

    So nothing is too large ever to pass, and nobody has more than `per_second` for long.
    """

    per_second: float
    """0: without a limit."""
    burst: float

    def wait_seconds(self, drawn_until: float, at: float) -> float:
        """How long until one token is there; 0: it is.

        `drawn_until` is when all that was drawn so far will have filled in again, 0 for nothing; times are
        seconds of one clock.
        """
        if not self.per_second:
            return 0.0
        return max(0.0, drawn_until - at - (self.burst - 1) / self.per_second)

    def drawn(self, drawn_until: float, at: float, amount: float) -> float:
        """The new `drawn_until`."""
        if not self.per_second:
            return drawn_until
        return (drawn_until if drawn_until > at else at) + amount / self.per_second
