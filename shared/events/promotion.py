"""The shadow, the verdict and the champion alias."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from shared.events.envelope import FOR_EVER, Event, Topic
from shared.fields import (
    MOST_ITEMS,
    Count,
    FrozenAdapter,
    Id,
    Moment,
    Name,
    Number,
    Part,
    PredictionId,
    Sentence,
    Share,
    Whole,
    WorkloadName,
)


class ShadowPairRecorded(Event):
    """Both models' answers to one request that neither was trained on."""

    topic: ClassVar[Topic] = Topic("shadow-pair-recorded-v1", key="prediction_id")

    run_id: Id
    workload: WorkloadName
    prediction_id: PredictionId
    predicted_at: Moment
    champion: Name
    champion_answer: Name
    champion_confidence: Share
    candidate: Name
    candidate_answer: Name
    candidate_confidence: Share
    recorded_at: Moment

    @property
    def differs(self) -> bool:
        return self.champion_answer != self.candidate_answer

    def cause(self) -> tuple[str, ...]:
        return (self.workload, self.candidate, self.prediction_id)

    def happened_at(self) -> datetime:
        return self.recorded_at


class Verdict(StrEnum):
    PROMOTE = "PROMOTE"
    HOLD = "HOLD"
    REJECT = "REJECT"


class Guardrail(Part):
    """One gate: the value that was measured, the bound it had to keep, and whether it did."""

    name: Name
    value: Number
    bound: Number
    passed: bool


class Evidence(Part):
    """What the shadow showed. Only pairs that differ and were reviewed carry evidence."""

    pairs: Count = 0
    differing: Count = 0
    reviewed: Count = 0
    candidate_right: Count = 0
    champion_right: Count = 0
    neither_right: Count = 0
    e_value: Number = 1.0
    e_value_needed: Number = 20.0
    alpha: Number = 0.05
    method: Name = "mixture e-process over discordant pairs"
    fewest_reviewers: Count | None = None
    """At least so many agreed on each reviewed pair. Up to version 0.2 nobody said it."""


class CandidateJudged(Event):
    """The verdict on a candidate: a pure function of recorded events."""

    topic: ClassVar[Topic] = Topic("candidate-judged-v1", key="workload")

    run_id: Id
    workload: WorkloadName
    dataset_id: Id
    cycle_id: Id | None
    candidate: FrozenAdapter
    champion: Name | None
    verdict: Verdict
    reason: Sentence
    evidence: Evidence
    guardrails: Annotated[list[Guardrail], Field(max_length=MOST_ITEMS)] = Field(default_factory=list)
    judged_at: Moment

    def cause(self) -> tuple[str, ...]:
        return (self.run_id, "judged")

    def happened_at(self) -> datetime:
        return self.judged_at


class ModelPromoted(Event):
    """From now on this adapter answers users."""

    topic: ClassVar[Topic] = Topic("model-promoted-v1", key="workload", partitions=1, retention=FOR_EVER)
    is_state: ClassVar[bool] = True

    workload: WorkloadName
    revision: Whole
    """Shared with ModelRolledBack: of both topics, the highest revision of a workload holds."""
    champion: FrozenAdapter
    previous: FrozenAdapter | None
    run_id: Id
    promoted_at: Moment

    def cause(self) -> tuple[str, ...]:
        return (self.workload, str(self.revision))

    def happened_at(self) -> datetime:
        return self.promoted_at


class RollbackRequested(Event):
    """Someone wants the previous champion back."""

    topic: ClassVar[Topic] = Topic("rollback-requested-v1", key="workload")

    request_id: Id
    workload: WorkloadName
    reason: Name
    requested_by: Name
    requested_at: Moment

    def cause(self) -> tuple[str, ...]:
        return (self.request_id,)

    def happened_at(self) -> datetime:
        return self.requested_at


class ModelRolledBack(Event):
    """The champion before the last one answers users again."""

    topic: ClassVar[Topic] = Topic("model-rolled-back-v1", key="workload", partitions=1, retention=FOR_EVER)
    is_state: ClassVar[bool] = True

    workload: WorkloadName
    revision: Whole
    champion: FrozenAdapter
    """The adapter that answers again."""
    withdrawn: Name
    reason: Name
    requested_by: Name
    rolled_back_at: Moment

    def cause(self) -> tuple[str, ...]:
        return (self.workload, str(self.revision))

    def happened_at(self) -> datetime:
        return self.rolled_back_at
