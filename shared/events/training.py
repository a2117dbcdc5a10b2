"""A run: a candidate trained and evaluated, or none."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import Field

from shared.events.cycles import UpToCutoff
from shared.events.envelope import Event, Topic, derived_id
from shared.events.scorecard import Scorecard
from shared.fields import (
    MOST_ITEMS,
    Count,
    FrozenAdapter,
    FrozenFile,
    Id,
    Moment,
    Name,
    Number,
    Sentence,
    Whole,
    WorkloadName,
)
from shared.workload import Training


class TrainingRequested(Event):
    """Someone wants a run on a dataset version that exists, trained as they say."""

    topic: ClassVar[Topic] = Topic("training-requested-v1", key="workload")

    request_id: Id
    workload: WorkloadName
    revision: Whole
    """Of the workload's definition, whose prompt and labels the run takes."""
    dataset_id: Id
    training: Training
    """All of it: the definition's section with what was asked for in its place."""
    adapters: Annotated[list[FrozenAdapter], Field(max_length=100)] = Field(default_factory=list)
    """Those that a fusion is made of; else none."""
    requested_by: Name
    reason: Name
    requested_at: Moment

    @property
    def run_id(self) -> str:
        return derived_id("run", "request", self.request_id)

    def cause(self) -> tuple[str, ...]:
        return (self.request_id,)

    def happened_at(self) -> datetime:
        return self.requested_at


class RunCancelRequested(Event):
    """Someone wants a run to end before it is evaluated."""

    topic: ClassVar[Topic] = Topic("run-cancel-requested-v1", key="workload")

    run_id: Id
    workload: WorkloadName
    reason: Name
    requested_by: Name
    requested_at: Moment

    def cause(self) -> tuple[str, ...]:
        return (self.run_id, "cancel")

    def happened_at(self) -> datetime:
        return self.requested_at


class TrainingProgressed(Event):
    """A training or evaluation run is so far."""

    topic: ClassVar[Topic] = Topic("training-progressed-v1", key="run_id")

    run_id: Id
    workload: WorkloadName
    phase: Name
    """"training" counts optimiser steps, "evaluation" counts answers."""
    done: Count
    total: Count
    loss: Number | None = None
    eval_loss: Number | None = None
    """On the rows kept for that, at the end of an epoch."""
    seconds_left: Annotated[Number, Field(ge=0)] | None = None
    """Of this phase, at its pace so far; None while there is none."""
    waits_since: Moment | None = None
    """It stands still, and goes on by itself. With the next progress that does not say so it has."""
    waits_for: Sentence = ""
    """What it waits for, and why."""
    progressed_at: Moment

    def cause(self) -> tuple[str, ...]:
        said: tuple[str, ...] = (self.run_id, self.phase, str(self.done))
        if self.waits_since is not None:
            return (*said, "waits", self.waits_since.isoformat(), self.waits_for)
        return said if self.eval_loss is None else (*said, "evaluated")

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
    steps: Count
    train_rows: Count
    final_loss: Number
    """Mean loss of the last tenth of the steps, in nats per answer token."""
    eval_loss: Number | None = None
    """Of the best epoch, on the rows kept for that; None without such rows, and up to version 0.2."""
    rows_seen: Count | None = None
    """Rows read in all steps, each as often as it was read."""
    epochs_seen: Annotated[Number, Field(ge=0)] | None = None
    """The same for each of the rows that were trained on; below 1 some were never seen."""
    warnings: Annotated[tuple[Sentence, ...], Field(max_length=MOST_ITEMS)] = ()
    """What its owner should know, a sentence each."""
    plan: Annotated[dict[str, Any], Field(max_length=MOST_ITEMS)] | None = None
    """Every setting that ran, with its value."""
    peak_memory_gb: Annotated[Number, Field(ge=0)] | None = None
    """The most that its process took, in 1e9 bytes: of its GPU, or of the machine's memory."""
    estimated_memory_gb: Annotated[Number, Field(ge=0)] | None = None
    """The same as it was counted before the training began; None for a base model of unknown shape."""
    seconds: Number
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
    reason: Sentence
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
    seconds: Number
    evaluated_at: Moment

    def cause(self) -> tuple[str, ...]:
        return (self.run_id, "evaluated")

    def happened_at(self) -> datetime:
        return self.evaluated_at
