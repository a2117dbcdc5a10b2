"""How long to wait before something that failed is tried again; pure."""

from __future__ import annotations

LONGEST_PAUSE_SECONDS = 60.0


def pause_seconds(failures_in_a_row: int) -> float:
    """0.2 s after the first failure, doubled by each further one, at most a minute."""
    return min(0.1 * 2.0 ** min(failures_in_a_row, 20), LONGEST_PAUSE_SECONDS)
