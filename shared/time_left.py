"""How long something will take still, in words."""

from __future__ import annotations


def time_left(seconds: float | None) -> str:
    """ "2 min left"; empty while it is not known."""
    if seconds is None:
        return ""
    if seconds >= 5400:
        return f"{seconds / 3600:.1f} h left"
    return f"{seconds / 60:.0f} min left" if seconds >= 90 else f"{seconds:.0f} s left"
