"""When the loop should go round again."""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.workload import Cycle


def why_cycle_is_due(
    policy: Cycle, last_cut: datetime, at: datetime, failures: int, corrections: int
) -> str | None:
    """Why a cycle should start at this time, or None. The counts are of what came after the last cut.

    Without a new correction there is nothing new to learn from, however much has failed.
    """
    if not corrections:
        return None
    if failures >= policy.corrections:
        return f"{failures} failures since the last cycle"
    if at - last_cut >= timedelta(days=policy.every_days):
        return f"{policy.every_days} days since the last cycle"
    return None
