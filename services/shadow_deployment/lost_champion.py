"""When a champion that cannot be loaded counts as lost, and what is said of it then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.events import FrozenAdapter

PATIENCE = timedelta(minutes=10)
"""So long must last what may pass: a model server that does not take the champion, files that are away."""
PROVED = timedelta(hours=1)
"""So long the files of a champion that is loaded are not read again."""


@dataclass(frozen=True)
class Finding:
    """What was found of a workload's champion the last time that somebody looked."""

    champion: FrozenAdapter
    at: datetime
    refusal: str = ""
    """Why it cannot be loaded; empty: it can."""
    since: datetime | None = None
    """When it was first refused for what may pass; None: it is not, or its own files condemn it."""
    is_lost: bool = False

    def is_fresh(self, now: datetime) -> bool:
        return not self.refusal and now - self.at < PROVED


def refused(champion: FrozenAdapter, now: datetime, refusal: str, before: Finding | None) -> Finding:
    """It cannot be loaded for what may pass; `before` is the finding before, of this champion."""
    since = before.since if before is not None and before.since is not None else now
    return Finding(champion, now, refusal, since, is_lost=now - since >= PATIENCE)


def sentence(workload: str, found: Finding, way_back: str | None) -> str:
    """What happened, and what to do; `way_back` is the champion that a rollback brings back."""
    todo = f"train anew (tuneloop train {workload})"
    if way_back:
        todo = f"roll back to {way_back} (tuneloop rollback {workload}), or {todo}"
    refusal = found.refusal.rstrip(".")
    return f"{found.champion.name} is champion and is lost: {refusal}. {todo[0].upper()}{todo[1:]}."
