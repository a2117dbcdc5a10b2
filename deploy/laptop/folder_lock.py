"""One process per data folder."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import TextIO


class FolderInUse(Exception):
    """Another process holds the folder. The message names the folder."""


def lock_folder(folder: Path) -> TextIO:
    """Holds `folder` until the returned file is closed or the process is gone. Raises FolderInUse."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise FolderInUse(f"{folder} is in use by another process") from error
    return lock
