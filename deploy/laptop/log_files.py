"""Where a child's output goes."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

MOST_BYTES = 5 << 20


def open_log(file: Path) -> BinaryIO:
    """Opens `file` to add to it. One grown past 5 MiB becomes `file`.1, in place of the one before."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists() and file.stat().st_size > MOST_BYTES:
        file.replace(file.with_name(f"{file.name}.1"))
    return file.open("ab")


def last_line(file: Path) -> str:
    """The last line with anything in it, or "" if there is none."""
    with file.open("rb") as content:
        content.seek(max(0, file.stat().st_size - 4096))
        lines = content.read().decode(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
