"""What HTTP answers about workloads and their rounds."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from services.workloads.progress import Progress, Waits
from services.workloads.round_progress import Kind, Round, Stage
from shared.access.principal import Principal
from shared.events import Rate
from shared.fields import Name
from shared.workload import Workload


class Wish(BaseModel):
    """Who wants it, and why. Both are kept with what follows from it."""

    model_config = ConfigDict(extra="forbid")

    requested_by: Name | None = None
    """Taken from the key where there are keys."""
    reason: Name

    def by(self, principal: Principal) -> str:
        return principal.named(self.requested_by or "")


class Figure(BaseModel):
    """A share with its n and its 95 % interval."""

    value: float
    n: int
    low: float
    high: float

    @classmethod
    def of(cls, rate: Rate | None) -> Figure | None:
        if rate is None or rate.n == 0:
            return None
        return cls(value=rate.value, n=rate.n, low=rate.low, high=rate.high)


class RoundState(BaseModel):
    """One time round the loop, of a revision (its first training) or of a cycle."""

    round_id: str
    kind: Kind
    stage: Stage
    sentence: str
    done: int | None
    total: int | None
    seconds_left: float | None
    waits_since: datetime | None
    """Since then it stands still, and waits; its sentence says why."""
    is_over: bool
    outcome: str | None
    """"promoted", "held", "rejected", "refused" or "failed"; null while it is under way."""
    reason: str | None
    version: int

    @classmethod
    def of(cls, round_: Round, progress: Progress | None, waits: Waits | None, version: int) -> RoundState:
        stands = waits or progress or round_
        return cls(
            round_id=round_.round_id,
            kind=round_.kind,
            stage=round_.stage,
            sentence=stands.sentence,
            done=progress.done if progress else None,
            total=progress.total if progress else None,
            seconds_left=progress.seconds_left if progress else None,
            waits_since=waits.since if waits else None,
            is_over=round_.is_over,
            outcome=round_.outcome or None,
            reason=round_.reason or None,
            version=version,
        )


class WorkloadState(BaseModel):
    name: str
    title: str
    revision: int
    labels: list[str]
    is_retired: bool
    champion: str | None
    champion_since: datetime | None
    champion_lost: str | None
    """Why the champion cannot be loaded any more, and what to do; null while it can."""
    accuracy: Figure | None
    """The champion's, on the held-out rows."""
    stage: str
    """Where the latest round works: one of the loop's stages, "… failed", or "at rest"."""


class LastCycle(BaseModel):
    cycle_id: str
    cutoff: datetime
    reason: str
    requested_by: str
    state: str
    outcome: str
    outcome_reason: str


class Status(WorkloadState):
    audited: Figure | None
    """How often the champion was right on predictions drawn at random in production."""
    agreement: Figure | None
    predictions: int
    feedback: int
    unmatched_feedback: int
    """Of it, what names no prediction of this workload: another's, or none that ever came."""
    corrections: int
    open_reviews: int
    last_cycle: LastCycle | None
    round: RoundState | None
    """The one under way, else the last one."""


class Definition(BaseModel):
    name: str
    definition: Workload
    answers: dict[str, str]
    """Label → the token that the model writes for it."""
    revision: int
    added_at: datetime
    is_retired: bool
    retired_at: datetime | None


class Checked(BaseModel):
    name: str
    rows: int
    labels: int
    answers: dict[str, str]
    """Label → the token that the model writes for it: a word of the label's, or a letter."""
    words_to_name: dict[str, str]
    """Label that a letter answers since an earlier revision → the word that its owner may name instead."""
    repeated_texts: int
    expected_minutes: float
    changes: list[str]
    is_new: bool
    differs: bool
    """From the revision before; false: nothing is kept, and nothing trained."""
    trains: bool


class Added(Checked):
    revision: int
    round_id: str | None
    """Of the round that the revision starts; null if nothing is trained for it."""


class Started(BaseModel):
    cycle_id: str
    cutoff: datetime
    failures: int
    corrections: int


class Retired(BaseModel):
    name: str
    revision: int
    retired_at: datetime


class Requested(BaseModel):
    request_id: str


def stage_in_words(latest: Round | None) -> str:
    if latest is None or latest.outcome in ("promoted", "held", "rejected"):
        return "at rest"
    return f"{latest.stage.value} failed" if latest.is_over else latest.stage.value
