"""How seldom Python looks for garbage in a process that serves and consumes."""

from __future__ import annotations

import gc


def collect_seldom() -> None:
    """Called when all that stays is made, and before events come.

    A backlog is tens of thousands of events in memory, and no cycles among them. By its defaults Python would
    look through them after every 700 objects, which takes as long as all the reading; and to look again and
    again at what stays costs a fifth of a busy intake.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
