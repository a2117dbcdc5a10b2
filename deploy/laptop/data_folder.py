"""Whether a folder can hold a system's data, found out before anything is started."""

from __future__ import annotations

import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.laptop.errors import LaptopError
from deploy.laptop.folder_lock import LOCK

LEAST_FREE_BYTES = 200_000_000
"""Tables, logs and a first adapter; the base model asks for its own room."""
OWNERS_ALONE = 0o700
OURS = {LOCK, "clickhouse", "ports.json"}
"""What tells a data folder of ours, one that was copied or restored, too."""
_NO_NAME = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
WAY_OUT = "Choose another folder: --data FOLDER"


def ensure_data_folder(folder: Path) -> None:
    """Makes the folder if it is missing, and closes it to other users: keys and people's words lie in it.

    Raises LaptopError when a system cannot keep its data there.
    """
    if _NO_NAME.search(str(folder)):
        raise LaptopError(
            f"{str(folder)!a}: ClickHouse keeps no tables below a folder whose name holds a backslash, a "
            f"control character or what is no UTF-8. {WAY_OUT}"
        )
    with saying_the_way_out(folder):
        folder.mkdir(mode=OWNERS_ALONE, parents=True, exist_ok=True)
        _close_to_others(folder)
        tempfile.TemporaryFile(dir=folder).close()
        free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        raise LaptopError(
            f"{free / 1e6:.0f} MB are free for {folder}, and {LEAST_FREE_BYTES / 1e6:.0f} MB are needed. "
            "Make room, or choose a folder on another disk: --data FOLDER"
        )


def _close_to_others(folder: Path) -> None:
    """Of a folder with other things in it the mode is not ours to change: /tmp may be named by mistake."""
    if stat.S_IMODE(folder.stat().st_mode) & ~OWNERS_ALONE == 0:
        return
    found = {one.name for one in folder.iterdir()}
    if found and not found & OURS:
        raise LaptopError(
            f"{folder} holds other things, and other users of this machine may look into it. If it is for "
            f"tuneloop alone: chmod 700 {folder}. {WAY_OUT}"
        )
    folder.chmod(OWNERS_ALONE)


@contextmanager
def saying_the_way_out(folder: Path) -> Iterator[None]:
    """A file or folder that cannot be made, read or written inside becomes a LaptopError."""
    try:
        yield
    except FileExistsError as error:
        raise LaptopError(f"{error.filename} is a file where a folder should be. {WAY_OUT}") from error
    except OSError as error:
        raise LaptopError(f"{folder} cannot be used: {_reason(error, folder)}. {WAY_OUT}") from error


def _reason(error: OSError, folder: Path) -> str:
    where = str(error.filename or folder)
    inside = f" ({where})" if where != str(folder) and where.startswith(f"{folder}/") else ""
    return f"{(error.strerror or str(error)).lower()}{inside}"
