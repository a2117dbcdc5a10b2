"""Dataset versions: published, or refused with the reason."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import Field

from shared.events.cycles import UpToCutoff
from shared.events.envelope import Topic, derived_id
from shared.fields import Count, FrozenFile, Id, Moment, Part, Sentence, WorkloadName


class DatasetCounts(Part):
    """What became of the rows on their way into a dataset version."""

    seed: Count = 0
    corrected: Count = 0
    duplicates: Count = 0
    leaks_blocked: Count = 0
    invalid: Count = 0
    redacted_values: Count = 0


class DatasetPublished(UpToCutoff):
    """An immutable dataset version, redacted, deduplicated, kept apart from the rows that judge it."""

    topic: ClassVar[Topic] = Topic("dataset-published-v1", key="workload")

    dataset_id: Id
    workload: WorkloadName
    version: Annotated[Count, Field(ge=1)]
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

    @staticmethod
    def run_of(dataset_id: str) -> str:
        """The run that follows by itself when the dataset is published."""
        return derived_id("run", dataset_id)

    def cause(self) -> tuple[str, ...]:
        return (self.dataset_id,)

    def happened_at(self) -> datetime:
        return self.published_at


class DatasetRefused(UpToCutoff):
    """No dataset came of this cycle, and why."""

    topic: ClassVar[Topic] = Topic("dataset-refused-v1", key="workload")

    workload: WorkloadName
    cycle_id: Id | None
    reason: Sentence
    refused_at: Moment

    def cause(self) -> tuple[str, ...]:
        return (self.workload, self.cycle_id or "first", self.reason)

    def happened_at(self) -> datetime:
        return self.refused_at
