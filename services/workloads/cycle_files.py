"""Where a cycle's frozen lists lie, below the root of all files."""

from __future__ import annotations

from typing import Literal


def cycle_file(workload: str, cycle_id: str, name: Literal["failures-at-cutoff", "corrections"]) -> str:
    """A name that begins with the workload's, so that no cycle id leads out of the folder."""
    return f"cycles/{workload}-{cycle_id}/{name}"
