"""When the loop should go round again."""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.workload import Cycle


def why_cycle_is_due(policy: Cycle, since: datetime, at: datetime, corrections: int) -> str | None:
    """Why a cycle should start at this time, or None. `corrections` are those that came after `since`.

    Without a new correction there is nothing new to learn from, however much was doubted.
    """
    if corrections >= policy.corrections:
        return f"{corrections} corrections since the last cycle"
    if corrections and at - since >= timedelta(days=policy.every_days):
        return f"{policy.every_days} days since the last cycle"
    return None


def due_by_time(policy: Cycle, since: datetime, corrections: int) -> datetime | None:
    """When a cycle falls due if nothing more comes; None if only a correction can bring one about."""
    return since + timedelta(days=policy.every_days) if corrections else None
