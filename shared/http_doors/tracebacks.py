"""Tracebacks in the log: one of each kind in a minute. What fails a thousand times a second fills no disk."""

from __future__ import annotations

import logging
import time
from types import TracebackType

SECONDS = 60.0
MOST_KINDS = 256

Kind = tuple[str, str, int]
"""An exception's type, and the file and line that raised it."""


class SeenKinds:
    """Which kinds of exceptions were seen within the last minute. Times are in seconds, of any clock."""

    def __init__(self) -> None:
        self._seen: dict[Kind, float] = {}

    def is_new(self, kind: Kind, now: float) -> bool:
        seen = self._seen.get(kind)
        if seen is not None and now - seen < SECONDS:
            return False
        if len(self._seen) >= MOST_KINDS:
            self._seen = {one: at for one, at in self._seen.items() if now - at < SECONDS}
        if len(self._seen) >= MOST_KINDS:  # so many kinds in a minute are made by somebody
            return False
        self._seen[kind] = now
        return True


class OncePerMinute(logging.Filter):
    """For handlers: of a record whose kind of traceback was just written, the message alone remains."""

    def __init__(self) -> None:
        super().__init__()
        self._seen = SeenKinds()

    def filter(self, record: logging.LogRecord) -> bool:
        match record.exc_info:
            case (type() as kind, BaseException(), TracebackType() as trace):
                if not self._seen.is_new(_kind(kind, trace), time.monotonic()):
                    record.exc_info = record.exc_text = None
        return True


def once_per_minute() -> None:
    """From now on whatever this process logs. After the logging is set up."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(OncePerMinute())


def _kind(raised: type[BaseException], trace: TracebackType) -> Kind:
    while trace.tb_next is not None:
        trace = trace.tb_next
    return (raised.__name__, trace.tb_frame.f_code.co_filename, trace.tb_lineno)
