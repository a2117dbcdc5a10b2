"""How long a child that died stays dead, and when one that does not answer counts as dead."""

from __future__ import annotations

STEADY_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 15.0
ASK_SECONDS = 5.0
"""Between two questions to a child that is watched. One that hangs takes as long again to give up."""
MOST_UNANSWERED = 4
"""In a row: 20 s of a closed port, 40 s of silence. A busy machine has been slower than one of them."""


def deaths_in_a_row(before: int, lived_seconds: float) -> int:
    """How many times it has died by now without having lived steadily in between."""
    return 1 if lived_seconds >= STEADY_SECONDS else before + 1


def pause_seconds(deaths: int) -> float:
    """Seconds until the next start: at once after a single death, ever longer for one that keeps dying."""
    doublings = min(deaths - 1, 30)  # far past the longest pause, and short of an overflow
    return float(min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**doublings))
