"""What the published views say, as the store hands it to whatever shows it. All times are aware, in UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.events import DatasetCounts, Evidence, Guardrail, Rate, Scorecard


@dataclass(frozen=True)
class Traffic:
    """Predictions within a day, how many of them the model doubted, and the signals users gave on them."""

    predictions: int
    doubted: int
    signals: int
    negative: int
    last_at: datetime | None
    unmatched: int = 0
    """Of the signals, those that name no request of this workload."""


@dataclass(frozen=True)
class Reviewing:
    """The queue and what came of it."""

    open: int
    disputed: int
    corrections: int
    agreement: Rate
    """Of predictions that two reviewers judged: how often they agreed."""
    last_at: datetime | None


@dataclass(frozen=True)
class Cycle:
    cycle_id: str
    cutoff: datetime
    reason: str
    requested_by: str


@dataclass(frozen=True)
class Cluster:
    cycle_id: str
    name: str
    size: int
    found_at: datetime


@dataclass(frozen=True)
class Dataset:
    dataset_id: str
    version: int
    cycle_id: str
    """Empty for version 1, the workload's own rows."""
    cutoff: datetime
    train_rows: int
    train_digest: str
    manifest_uri: str
    counts: DatasetCounts
    published_at: datetime


@dataclass(frozen=True)
class Refusal:
    cycle_id: str
    reason: str
    refused_at: datetime


@dataclass(frozen=True)
class Run:
    run_id: str
    dataset_id: str
    cycle_id: str
    candidate: str
    """Empty until the adapter exists."""
    state: str
    steps: int
    final_loss: float
    seconds: float
    reason: str
    changed_at: datetime
    method: str = ""
    """Empty until it is decided, where nobody asked for one."""
    requested_by: str = ""
    """Empty for a run that followed its dataset by itself."""
    training: Mapping[str, Any] | None = None
    """Settings as they were asked for."""
    plan: Mapping[str, Any] | None = None
    """Every setting as it ran; None until it has."""
    train_rows: int = 0
    rows_seen: int | None = None
    eval_loss: float | None = None
    warnings: Sequence[str] = ()
    peak_memory_gb: float | None = None
    estimated_memory_gb: float | None = None


@dataclass(frozen=True)
class Evaluation:
    run_id: str
    dataset_id: str
    cycle_id: str
    candidate: str
    champion: str
    """Empty for the first candidate of a workload."""
    scorecard: Scorecard
    evaluated_at: datetime


@dataclass(frozen=True)
class Pairs:
    """A run's shadow so far. Right answers count among the pairs that differ and were reviewed."""

    run_id: str
    pairs: int
    differing: int
    candidate_right: int
    champion_right: int
    last_at: datetime


@dataclass(frozen=True)
class Waits:
    """What stands still and goes on by itself, mostly once the model server takes what it is given."""

    since: datetime
    why: str

    @property
    def sentence(self) -> str:
        return f"Waits since {self.since:%Y-%m-%d %H:%M} UTC: {self.why}"


@dataclass(frozen=True)
class Judged:
    run_id: str
    dataset_id: str
    cycle_id: str
    candidate: str
    champion: str
    verdict: str
    reason: str
    evidence: Evidence
    guardrails: Sequence[Guardrail]
    judged_at: datetime


@dataclass(frozen=True)
class AliasRevision:
    """From when on an adapter answered users, and how it came to."""

    adapter: str
    kind: str
    run_id: str
    since: datetime


@dataclass(frozen=True)
class Bucket:
    """A stretch of time: how many predictions, how sure the model was, and what the random audit found."""

    start: datetime
    predictions: int
    confidence: float
    audited: int
    right: int
