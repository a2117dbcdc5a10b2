"""Secrets that are made once and kept in a data folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def ensure_secret(file: Path, make: Callable[[], str]) -> str:
    """What `file` holds; made the first time, by one of all who ask. Only the file's owner can read it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        scratch = file.with_name(f".{file.name}.{os.getpid()}")
        with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as content:
            content.write(make())
        try:
            os.link(scratch, file)  # whole or not at all, and the first of two processes wins
        except FileExistsError:
            pass
        finally:
            scratch.unlink()
    return file.read_text()
