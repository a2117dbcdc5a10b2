"""Small files of this machine, replaced in one step."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """A reader sees the old content or the new, never a part; a crash of the machine loses neither."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")  # two containers may share a volume
    try:
        with partial.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        partial.rename(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
