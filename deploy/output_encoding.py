"""Output in any locale: a character that the terminal or pipe cannot take becomes a question mark."""

from __future__ import annotations

import io
from typing import TextIO


def replace_what_cannot_be_encoded(*streams: TextIO) -> None:
    """For standard output and error, before anything is printed: an arrow must not end a run in Latin-1."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
