"""How long something will take still: at its pace so far, and in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    """So much was done at a moment, in seconds of any clock."""

    done: int
    at: float


def seconds_left(first: Mark, last: Mark, total: int) -> float | None:
    """At the mean pace between two marks; None where that is none. Never less than 0."""
    done, seconds = last.done - first.done, last.at - first.at
    if done <= 0 or seconds <= 0:
        return None
    return max(0.0, (total - last.done) * seconds / done)


def time_left(seconds: float | None) -> str:
    """ "2 min left"; empty while it is not known."""
    if seconds is None:
        return ""
    if seconds >= 5400:
        return f"{seconds / 3600:.1f} h left"
    return f"{seconds / 60:.0f} min left" if seconds >= 90 else f"{seconds:.0f} s left"
