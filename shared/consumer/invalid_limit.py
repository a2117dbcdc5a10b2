"""How many invalid records a partition may hold before the reader is thought to be wrong, not they; pure.

Two limits, as sentry-arroyo has them: so many in a row, and so great a share of the last ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

OF_LAST = 2000  # records of which the share is counted, about


class TooManyInvalid(Exception):
    """So many invalid records mean that the reader is wrong, or a producer."""


@dataclass(frozen=True)
class InvalidLimit:
    most_in_a_row: float = 100
    most_share: float = 0.25

    def passed(self, what: str) -> TooManyInvalid:
        return TooManyInvalid(
            f"{what}: nothing more is set aside and the partition waits. If this reader is wrong, deploy one "
            "that is right; if a producer was, correct it and start this service with higher limits for once "
            "(CONSUMER_MOST_INVALID_IN_A_ROW, CONSUMER_MOST_INVALID_SHARE), so that its records are set aside"
        )


NO_LIMIT = InvalidLimit(float("inf"), float("inf"))


@dataclass(frozen=True)
class InvalidSeen:
    """What a partition's last records were. The share is of about as many as `OF_LAST`: older ones fade."""

    in_a_row: int = 0
    invalid: float = 0.0
    records: float = 0.0

    def valid(self, count: int) -> InvalidSeen:
        """After so many valid records."""
        return InvalidSeen(0, self.invalid, self.records + count)._faded() if count else self

    def then(self, are_valid: Iterable[bool], limit: InvalidLimit) -> InvalidSeen:
        """After these. Raises TooManyInvalid."""
        seen = self
        for is_valid in are_valid:
            if is_valid:
                seen = seen.valid(1)
                continue
            seen = InvalidSeen(seen.in_a_row + 1, seen.invalid + 1, seen.records + 1)._faded()
            if seen.in_a_row > limit.most_in_a_row:
                raise limit.passed(f"more than {limit.most_in_a_row:.0f} invalid records in a row")
            if seen.invalid > limit.most_share * max(seen.records, OF_LAST):
                raise limit.passed(f"more than {limit.most_share:.0%} of the last records are invalid")
        return seen

    def _faded(self) -> InvalidSeen:
        if self.records <= OF_LAST:
            return self
        kept = OF_LAST / self.records
        return InvalidSeen(self.in_a_row, self.invalid * kept, OF_LAST)
