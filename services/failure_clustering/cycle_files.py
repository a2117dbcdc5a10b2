"""Where a cycle's list of clustered failures lies, below the root of all files."""

from __future__ import annotations


def clustered_failures(workload: str, cycle_id: str) -> str:
    """A name that begins with the workload's, so that no cycle id leads out of the folder."""
    return f"cycles/{workload}-{cycle_id}/failures"
