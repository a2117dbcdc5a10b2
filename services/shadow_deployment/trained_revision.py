"""Which revision of a definition an adapter of version 0.1 or 0.2 was trained by: its files do not say."""

from __future__ import annotations

from collections.abc import Sequence

from shared.events import CandidateEvaluated, DatasetPublished, WorkloadAdded


def trained_revision(
    revisions: Sequence[WorkloadAdded], evaluated: CandidateEvaluated
) -> WorkloadAdded | None:
    """The one whose dataset it was trained on, or else the one in force at its cycle's cutoff.

    None if no revision has its base model: there is nothing to make its contract from.
    """
    fitting = [one for one in revisions if one.definition.base_model == evaluated.candidate.base_model]
    for one in fitting:
        if DatasetPublished.id_of_revision(one.name, one.revision) == evaluated.dataset_id:
            return one
    in_force = [one for one in fitting if one.added_at <= evaluated.cutoff]
    return max(in_force or fitting[:1], key=lambda one: one.revision, default=None)
