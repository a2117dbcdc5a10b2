"""Which of the processes of one training this one is, as `accelerate launch` says in their environment."""

from __future__ import annotations

import os


def count() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def number() -> int:
    return int(os.environ.get("RANK", "0"))


def on_this_machine() -> int:
    """Its number among those of this machine, which is that of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def is_first() -> bool:
    """Whether it is the one that writes and answers."""
    return number() == 0


def leave_to_the_first() -> None:
    """Ends every other process, in good order. Raises SystemExit."""
    if not is_first():
        raise SystemExit(0)
