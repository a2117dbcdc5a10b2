"""Whether a process can be asked: what it has still to read, what it stands on and has lost; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

GONE = timedelta(seconds=10)
"""So long what it stands on may be away before it says that it is not ready: a restart is shorter."""


@dataclass(frozen=True)
class Missing:
    """Something that is not there."""

    what: str
    since: datetime
    why: str
    is_only_named: bool = False
    """Whether the process is ready all the same."""

    def __str__(self) -> str:
        because = f" ({self.why})" if self.why else ""
        return f"{self.what} since {self.since:%H:%M:%S} UTC{because}"

    def as_json(self) -> dict[str, str]:
        return {"what": self.what, "since": self.since.isoformat(timespec="seconds"), "why": self.why}


class Readiness:
    """Falls when what the process stands on has been away for a while, and comes back with it."""

    def __init__(self, *, answers_at_once: bool, now: datetime) -> None:
        self._answers_at_once = answers_at_once
        self._start: Missing | None = Missing("its state", now, "this process starts")
        self._gone: dict[str, Missing] = {}

    def waits_for(self, what: str, why: str, now: datetime) -> None:
        """Where the start is."""
        since = self._start.since if self._start is not None and self._start.what == what else now
        self._start = Missing(what, since, why)

    def started(self) -> None:
        self._start = None

    def saw(self, what: str, why_away: str | None, now: datetime, *, is_only_named: bool = False) -> None:
        """Whether something that the process stands on answers; `why_away` None: it does."""
        if why_away is None:
            self._gone.pop(what, None)
        else:
            before = self._gone.get(what)
            self._gone[what] = Missing(what, before.since if before else now, why_away, is_only_named)

    def missing(self) -> list[Missing]:
        """All that is not there, however shortly."""
        of_start = [self._start] if self._start is not None and not self._answers_at_once else []
        return [*of_start, *(one for one in self._gone.values() if one.what not in _names(of_start))]

    def is_ready(self, now: datetime) -> bool:
        if self._start is not None and not self._answers_at_once:
            return False
        return all(one.is_only_named or now - one.since < GONE for one in self._gone.values())


def _names(missing: Iterable[Missing]) -> set[str]:
    return {one.what for one in missing}
