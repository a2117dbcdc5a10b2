"""Whether a folder can hold a system's data, found out before anything is started."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.laptop.errors import LaptopError

LEAST_FREE_BYTES = 200_000_000
"""Tables, logs and a first adapter; the base model asks for its own room."""
_NO_NAME = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
WAY_OUT = "Choose another folder: --data FOLDER"


def ensure_data_folder(folder: Path) -> None:
    """Makes the folder if it is missing. Raises LaptopError when a system cannot keep its data there."""
    if _NO_NAME.search(str(folder)):
        raise LaptopError(
            f"{str(folder)!a}: ClickHouse keeps no tables below a folder whose name holds a backslash, a "
            f"control character or what is no UTF-8. {WAY_OUT}"
        )
    with saying_the_way_out(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        raise LaptopError(
            f"{free / 1e6:.0f} MB are free for {folder}, and {LEAST_FREE_BYTES / 1e6:.0f} MB are needed. "
            "Make room, or choose a folder on another disk: --data FOLDER"
        )


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
