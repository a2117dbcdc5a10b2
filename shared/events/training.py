"""A run: a candidate trained and evaluated, or none."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from shared.events.cycles import UpToCutoff
from shared.events.envelope import Event, Topic
from shared.events.scorecard import Scorecard
from shared.fields import FrozenAdapter, FrozenFile, Id, Moment, Name, WorkloadName


class TrainingProgressed(Event):
    """A training or evaluation run is so far."""

    topic: ClassVar[Topic] = Topic("training-progressed-v1", key="run_id")

    run_id: Id
    workload: WorkloadName
    phase: Name
    """"training" counts optimiser steps, "evaluation" counts answers."""
    done: int = Field(ge=0)
    total: int = Field(ge=0)
    loss: float | None = None
    progressed_at: Moment

    def cause(self) -> tuple[str, ...]:
        return (self.run_id, self.phase, str(self.done))

    def happened_at(self) -> datetime:
        return self.progressed_at


class CandidateTrained(UpToCutoff):
    """An adapter exists that is not live."""

    topic: ClassVar[Topic] = Topic("candidate-trained-v1", key="workload")

    run_id: Id
    workload: WorkloadName
    dataset_id: Id
    cycle_id: Id | None
    candidate: FrozenAdapter
    method: Name
    steps: int
    train_rows: int
    final_loss: float
    seconds: float
    trained_at: Moment

    def cause(self) -> tuple[str, ...]:
        return (self.run_id, "trained")

    def happened_at(self) -> datetime:
        return self.trained_at


class TrainingFailed(Event):
    """A run ended without a candidate, and what to do about it."""

    topic: ClassVar[Topic] = Topic("training-failed-v1", key="workload")

    run_id: Id
    workload: WorkloadName
    dataset_id: Id
    cycle_id: Id | None = None
    reason: str
    failed_at: Moment

    def cause(self) -> tuple[str, ...]:
        return (self.run_id, "failed")

    def happened_at(self) -> datetime:
        return self.failed_at


class CandidateEvaluated(UpToCutoff):
    """A candidate's scorecard, beside the champion's answers to the very same rows."""

    topic: ClassVar[Topic] = Topic("candidate-evaluated-v1", key="workload")

    run_id: Id
    workload: WorkloadName
    dataset_id: Id
    cycle_id: Id | None
    candidate: FrozenAdapter
    champion: Name | None
    scorecard: Scorecard
    answers: FrozenFile
    """JSON Lines, one per evaluated row: {"axis", "row", "right_answer", "base", "champion", "candidate"}."""
    seconds: float
    evaluated_at: Moment

    def cause(self) -> tuple[str, ...]:
        return (self.run_id, "evaluated")

    def happened_at(self) -> datetime:
        return self.evaluated_at
