"""Whether the revision that a dataset was made of has come: definitions and datasets come by topics apart."""

from __future__ import annotations

from collections.abc import Sequence

from shared.events import DatasetPublished, WorkloadAdded


def is_ahead(dataset: DatasetPublished, revisions: Sequence[WorkloadAdded]) -> bool:
    """Whether the dataset came before its revision, of the workload's `revisions` that have come so far.

    Nothing waits for ever on this. A cycle's dataset belongs to no revision. Any other has had the `added_at`
    of its revision as its cutoff since version 0.1, so that revision itself ends the wait, and so does any
    later one, be it that the workload rests. It was published before its dataset was made, in a topic that
    keeps all its records for ever.
    """
    return dataset.cycle_id is None and all(one.added_at < dataset.cutoff for one in revisions)
