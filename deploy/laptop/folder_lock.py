"""One process per data folder, and nobody left over from the one before."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import TextIO

LOCK = ".lock"


class FolderInUse(Exception):
    """Another process holds the folder. The message names the folder."""


def lock_folder(folder: Path, name: str = LOCK, *, patience_seconds: float = 0.0) -> TextIO:
    """Holds `folder`/`name` until the returned file is closed, here and in every child that was given it.

    Raises FolderInUse when somebody else still holds it after `patience_seconds`. Makes a missing folder,
    closed to other users.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = (folder / name).open("w")
    until = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= until:
                lock.close()
                raise FolderInUse(f"{folder} is in use by another process") from error
            time.sleep(0.05)
        else:
            return lock


def is_locked(folder: Path, name: str = LOCK) -> bool:
    """Whether some process holds `folder`/`name` now."""
    if not (folder / name).exists():
        return False
    try:
        lock_folder(folder, name).close()
    except FolderInUse:
        return True
    return False
