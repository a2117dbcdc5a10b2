"""A child process that does not outlive its parent, however that went."""

from __future__ import annotations

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>; kept across exec


def die_with_parent() -> None:
    """Asks Linux to kill this process when its parent is gone. Elsewhere it survives a kill -9 of that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
