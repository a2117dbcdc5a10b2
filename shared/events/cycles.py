"""A cycle: what is known at its cutoff is frozen, and its failures are put together."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from shared.events.envelope import Event, Topic
from shared.fields import (
    MOST_ITEMS,
    Count,
    FrozenFile,
    Id,
    Moment,
    Name,
    Part,
    Sentence,
    Whole,
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
    revision: Whole
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
    size: Annotated[Count, Field(ge=1)]
    answer: Name
    right_answer: Name
    words: Annotated[list[Sentence], Field(max_length=MOST_ITEMS)] = Field(default_factory=list)
    status: ClusterStatus | None = None
    size_before: Count | None = None
    """In the cycle in which it was last seen; None for a new one."""


class FailureClustersFound(UpToCutoff):
    """A cycle's failures in groups, and the corrections up to its cutoff, both frozen."""

    topic: ClassVar[Topic] = Topic("failure-clusters-found-v1", key="workload")

    cycle_id: Id
    workload: WorkloadName
    clusters: Annotated[list[Cluster], Field(max_length=MOST_ITEMS)]
    failures: FrozenFile
    """JSON Lines of {"prediction_id", "cluster_id" or null}."""
    corrections: FrozenFile
    """JSON Lines of {"prediction_id", "predicted_at", "right_answer"}: every one known at the cutoff."""
    found_at: Moment

    def cause(self) -> tuple[str, ...]:
        return (self.cycle_id, self.failures.digest, self.corrections.digest)

    def happened_at(self) -> datetime:
        return self.found_at
