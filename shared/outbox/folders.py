"""Which folder a process has for its outbox, and which ones processes have left behind that died.

Several processes may share a volume. Each has one of the folders `outbox`, `outbox-1`, … locked; the lock
goes with its process, however that ends. Whoever gets the lock of a folder answers for what lies in it.
"""

from __future__ import annotations

import fcntl
import itertools
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from shared.outbox.outbox import Outbox, OutboxSettings

NAME = "outbox"

log = logging.getLogger(__name__)


def own_outbox(parent: Path, settings: OutboxSettings) -> Outbox:
    """The first folder of `parent` that nobody has, with what a process before this one left in it.

    Where the disk refuses even that, the outbox takes no record: answering must not wait for a disk.
    """
    for number in itertools.count():
        folder = parent / (f"{NAME}-{number}" if number else NAME)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = _locked(folder)
        except OSError as error:
            log.error("%s: no outbox can be kept: %s. Mend the disk and restart", folder, error.strerror)
            return Outbox(folder, settings, None)
        if lock is not None:
            return Outbox(folder, settings, lock)
    raise AssertionError("counting has no end")


def orphaned_outboxes(parent: Path, settings: OutboxSettings) -> Iterator[Outbox]:
    """Those that hold records and belong to no living process; they are the caller's until it closes them."""
    for folder in sorted([parent / NAME, *parent.glob(f"{NAME}-*")]):
        if any(folder.glob("*.jsonl")) and (lock := _locked(folder)) is not None:
            yield Outbox(folder, settings, lock)


def _locked(folder: Path) -> int | None:
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
