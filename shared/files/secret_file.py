"""Secrets in files of their own: only their owner can read them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def ensure_secret(file: Path, make: Callable[[], str]) -> str:
    """What `file` holds; made the first time, by one of all who ask."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        scratch = file.with_name(f".{file.name}.{os.getpid()}")
        _write(scratch, make())
        try:
            os.link(scratch, file)  # whole or not at all, and the first of two processes wins
        except FileExistsError:
            pass
        finally:
            scratch.unlink()
    return file.read_text()


def write_secret(file: Path, content: str) -> None:
    """Replaces the file in one step, whoever could read the one before."""
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    _write(scratch, content)
    scratch.replace(file)


def _write(file: Path, content: str) -> None:
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(content)
