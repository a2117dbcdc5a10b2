"""Where a cycle's frozen lists lie, below the root of all files."""

from __future__ import annotations

from typing import Literal

from shared.events import CycleRequested

List = Literal["failures-at-cut", "failures", "corrections"]
"""The event's two lists; and what the job is given, rows of {"prediction_id", "answer", "right_answer"}."""


def cycle_file(cycle: CycleRequested, name: List) -> str:
    """A name that begins with the workload's, so that no cycle id leads out of the folder."""
    return f"cycles/{cycle.workload}-{cycle.cycle_id}/{name}"
