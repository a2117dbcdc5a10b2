from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.failure_clustering.cycle_is_due import why_cycle_is_due
from shared.workload import Cycle

WEEKLY = Cycle(every_days=7, corrections=500)
LAST = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "failures", "corrections", "reason"),
    [
        (1, 499, 40, None),
        (1, 500, 40, "500 failures since the last cycle"),
        (6.99, 3, 40, None),
        (7, 3, 40, "7 days since the last cycle"),
        (30, 0, 1, "7 days since the last cycle"),
        (30, 9000, 0, None),  # nothing to learn from
    ],
)
def test_a_cycle_is_due_after_a_week_or_enough_failures_if_there_is_anything_to_learn(
    days: float, failures: int, corrections: int, reason: str | None
) -> None:
    at = LAST + timedelta(days=days)
    assert why_cycle_is_due(WEEKLY, LAST, at, failures, corrections) == reason
