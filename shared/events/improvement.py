"""One cycle: failures found, data made, a candidate trained and evaluated."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import Field, model_validator

from shared.events.envelope import Event, Topic, derived_id
from shared.events.scorecard import Scorecard
from shared.fields import (
    FrozenAdapter,
    FrozenFile,
    Id,
    Moment,
    Name,
    Part,
    WorkloadName,
)


class UpToCutoff(Event):
    """What an event of a cycle rests on ends at its cutoff: what comes later belongs to the next cycle."""

    cutoff: Moment
    cut: Moment | None = None
    """What `cutoff` was called up to version 0.1, for readers of that time. Always the same moment."""

    @model_validator(mode="before")
    @classmethod
    def _under_both_names(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        cutoff = given.get("cutoff", given.get("cut"))
        return given if cutoff is None else given | {"cutoff": cutoff, "cut": cutoff}


class CycleRequested(Event):
    """Up to version 0.1: someone, or the calendar, wants the loop to go round. See CycleStarted.

    Nobody produces it any more; it is read until the last one has left its topic.
    """

    topic: ClassVar[Topic] = Topic("cycle-requested-v1", key="workload")

    cycle_id: Id
    workload: WorkloadName
    cut: Moment
    reason: Name
    requested_by: Name

    def cause(self) -> tuple[str, ...]:
        return (self.cycle_id,)

    def happened_at(self) -> datetime:
        return self.cut


class CycleStarted(Event):
    """The loop goes round: what is known up to the cutoff is frozen, so a repeated cycle gives the same."""

    topic: ClassVar[Topic] = Topic("cycle-started-v1", key="workload")

    cycle_id: Id
    workload: WorkloadName
    revision: int
    """Of the workload's definition."""
    cutoff: Moment
    failures: FrozenFile
    """JSON Lines of {"prediction_id", "predicted_at", "answer", "right_answer"}: wrong answers, and suspected
    ones, whose right answer is "".
    """
    corrections: FrozenFile
    """JSON Lines of {"prediction_id", "predicted_at", "right_answer"}: every one known at the cutoff."""
    reason: Name
    requested_by: Name
    started_at: Moment

    def cause(self) -> tuple[str, ...]:
        return (self.cycle_id,)

    def happened_at(self) -> datetime:
        return self.started_at


class ClusterStatus(StrEnum):
    """How a cluster stands, compared with the cycle before."""

    NEW = "new"
    GROWING = "growing"
    STEADY = "steady"
    RESOLVED = "resolved"  # nothing has failed this way since the cycle before
    BACK_AGAIN = "back again"  # it was resolved, or gone


class Cluster(Part):
    """Failures alike."""

    cluster_id: Id
    name: Name
    """Such as "gpl-3.0 read as gpl-2.0": labels, and words that stand in at least five of its texts."""
    size: int = Field(ge=1)
    answer: Name
    right_answer: Name
    words: list[str] = Field(default_factory=list)
    status: ClusterStatus | None = None
    size_before: int | None = None
    """In the cycle in which it was last seen; None for a new one."""


class FailureClustersFound(UpToCutoff):
    """A cycle's failures in groups, and the corrections up to its cutoff, both frozen."""

    topic: ClassVar[Topic] = Topic("failure-clusters-found-v1", key="workload")

    cycle_id: Id
    workload: WorkloadName
    clusters: list[Cluster]
    failures: FrozenFile
    """JSON Lines of {"prediction_id", "cluster_id" or null}."""
    corrections: FrozenFile
    """JSON Lines of {"prediction_id", "predicted_at", "right_answer"}: every one known at the cutoff."""
    found_at: Moment

    def cause(self) -> tuple[str, ...]:
        return (self.cycle_id, self.failures.digest, self.corrections.digest)

    def happened_at(self) -> datetime:
        return self.found_at


class DatasetCounts(Part):
    """What became of the rows on their way into a dataset version."""

    seed: int = 0
    corrected: int = 0
    duplicates: int = 0
    leaks_blocked: int = 0
    invalid: int = 0
    redacted_values: int = 0


class DatasetPublished(UpToCutoff):
    """An immutable dataset version, redacted, deduplicated, kept apart from the rows that judge it."""

    topic: ClassVar[Topic] = Topic("dataset-published-v1", key="workload")

    dataset_id: Id
    workload: WorkloadName
    version: int = Field(ge=1)
    cycle_id: Id | None
    """None for version 1, which is the workload's own labelled rows."""
    train: FrozenFile
    golden: FrozenFile
    held_out: FrozenFile
    manifest: FrozenFile
    counts: DatasetCounts
    published_at: Moment

    @staticmethod
    def id_of_revision(workload: str, revision: int) -> str:
        """The id of the dataset that a revision of a workload leads to."""
        return derived_id("dataset", workload, "revision", str(revision))

    @staticmethod
    def id_of_cycle(workload: str, cycle_id: str) -> str:
        return derived_id("dataset", workload, "cycle", cycle_id)

    def cause(self) -> tuple[str, ...]:
        return (self.dataset_id,)

    def happened_at(self) -> datetime:
        return self.published_at


class DatasetRefused(UpToCutoff):
    """No dataset came of this cycle, and why."""

    topic: ClassVar[Topic] = Topic("dataset-refused-v1", key="workload")

    workload: WorkloadName
    cycle_id: Id | None
    reason: str
    refused_at: Moment

    def cause(self) -> tuple[str, ...]:
        return (self.workload, self.cycle_id or "first", self.reason)

    def happened_at(self) -> datetime:
        return self.refused_at


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
