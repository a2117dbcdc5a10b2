"""Where a child's output goes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

MOST_BYTES = 5 << 20


def open_log(file: Path) -> BinaryIO:
    """Opens `file` to add to it, at its end even after `keep_in_bounds`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists():
        keep_in_bounds(file)
    return file.open("ab")


def keep_in_bounds(file: Path) -> None:
    """The last 5 MiB of a log that has grown past them become `file`.1, and it begins anew, under its writer.

    As logrotate's copytruncate: a line that is written between the two is lost.
    """
    if (size := file.stat().st_size) <= MOST_BYTES:
        return
    with file.open("rb") as content:
        content.seek(size - MOST_BYTES)
        file.with_name(f"{file.name}.1").write_bytes(content.read())
    os.truncate(file, 0)


def last_line(file: Path) -> str:
    """The last line with anything in it, or "" if there is none."""
    with file.open("rb") as content:
        content.seek(max(0, file.stat().st_size - 4096))
        lines = content.read().decode(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
