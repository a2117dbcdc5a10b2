"""When an adapter that cannot be loaded counts as lost, and what is said of a champion then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.adapters.refusals import TRAIN, AdapterRefused, NotForThisServer, advice
from shared.events import FrozenAdapter
from shared.model_server.errors import ModelServerRefused, UnknownModel

PATIENCE = timedelta(minutes=10)
"""So long must last what may pass."""
PROVED = timedelta(hours=1)
"""So long the files of a champion that is loaded are not read again."""
MAY_PASS = (NotForThisServer, ModelServerRefused, UnknownModel, FileNotFoundError)
"""A model server that does not take it, where another one may; files that are away, as a volume may be."""
REFUSED = (AdapterRefused, *MAY_PASS)
"""Why an adapter cannot be loaded. Anything else says nothing of it."""


@dataclass(frozen=True)
class Finding:
    """What was found of an adapter the last time that somebody looked."""

    adapter: FrozenAdapter
    at: datetime
    error: Exception | None = None
    """Why it cannot be loaded; None: it can."""
    since: datetime | None = None
    """When it was first refused for what may pass; None: it is not, or its own files condemn it."""
    is_lost: bool = False

    @property
    def refusal(self) -> str:
        """What is wrong with it, and not what to do. Empty: it can be loaded."""
        return "" if self.error is None else _what(self.error)

    def is_fresh(self, now: datetime) -> bool:
        return self.error is None and now - self.at < PROVED


def refused(before: Finding, now: datetime, error: Exception) -> Finding:
    """What an error of REFUSED makes of it. Its own files condemn it at once. What is lost is so until it can
    be loaded."""
    if not isinstance(error, MAY_PASS):
        return Finding(before.adapter, now, error, is_lost=True)
    since = before.since or now
    is_lost = before.is_lost or now - since >= PATIENCE
    return Finding(before.adapter, now, error, since, is_lost)


def sentence(workload: str, found: Finding, way_back: str | None) -> str:
    """What happened, and what to do; `way_back` is the champion that a rollback brings back."""
    assert found.error is not None
    mend, train = _ways_out(found.error)
    back = f"roll back to {way_back} (tuneloop rollback {workload})" if way_back else ""
    todo = advice(mend, back, f"{train} (tuneloop train {workload})")
    return f"{found.adapter.name} is champion and is lost: {found.refusal}. {todo}"


def _what(error: Exception) -> str:
    return error.what if isinstance(error, AdapterRefused) else str(error).rstrip(".")


def _ways_out(error: Exception) -> tuple[str, str]:
    """What may bring it back, and what brings another one."""
    if isinstance(error, AdapterRefused):
        return error.mend, error.train
    return ("restore its files" if isinstance(error, FileNotFoundError) else ""), TRAIN
