"""Work on files that nobody waits for: in order, in a thread of its own, off the loop that answers."""

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

logger = logging.getLogger(__name__)


class Disk:
    """Does at once what is asked for later, and waits for no disk: for a log that nobody answers from."""

    def __init__(self, *, waits: bool = False) -> None:
        self.waits = waits
        """Is a batch acknowledged only when it is synced?"""

    def later(self, work: Callable[[], object]) -> None:
        work()

    def close(self) -> None:
        """Returns when all of it is done."""


class DiskThread(Disk):
    """One thread: an index is written before its segment is removed, as it was asked for."""

    def __init__(self, *, waits: bool) -> None:
        super().__init__(waits=waits)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="disk")

    def later(self, work: Callable[[], object]) -> None:
        self._thread.submit(_logged, work)

    def close(self) -> None:
        self._thread.shutdown()


def _logged(work: Callable[[], object]) -> None:
    """None of it is needed for an answer: what fails costs time at the next start, or space on the disk."""
    try:
        work()
    except OSError as problem:
        logger.warning("disk: %s", problem)
    except Exception:
        logger.exception("disk: a fault of the broker")


def sync_folder(folder: Path) -> None:
    """A file that was made in it is found there after a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
