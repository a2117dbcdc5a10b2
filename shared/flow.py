"""The whole system on one page: who consumes what, who produces what, who reads whose views.

Services start from this page: a test holds every service's wiring against it, and the AsyncAPI document and
the drawing in the README are made from the wiring.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from shared import events as e
from shared.events.envelope import Event

NO_GROUP = "tuneloop-no-group"
"""What consumers are named after that join no group: librdkafka wants a name all the same."""


@dataclass(frozen=True)
class Part:
    """One service's part in the flow, and what it owns."""

    consumes: frozenset[type[Event]]
    produces: frozenset[type[Event]]
    owns: str
    reads: frozenset[str]
    """Views that other services publish (their columns are in `shared/contracts/views`)."""

    @property
    def consumed_as_group(self) -> frozenset[type[Event]]:
        """Shared out among the service's processes, by the consumer group of its name.

        State is read by every process for itself, and who produces nothing only watches.
        """
        return frozenset(kind for kind in self.consumes if self.produces and not kind.is_state)


def part(
    consumes: set[type[Event]], produces: set[type[Event]], owns: str, reads: Collection[str] = ()
) -> Part:
    return Part(frozenset(consumes), frozenset(produces), owns, frozenset(reads))


APPS: frozenset[type[Event]] = frozenset({e.PredictionReported, e.FeedbackReported})
"""What apps outside may produce by themselves, and no service does."""
EVERY_PROCESS_CONSUMES: frozenset[type[Event]] = frozenset({e.AccessChanged})
"""Whatever services it runs: its door has to know who comes in."""
EVERY_PROCESS_PRODUCES: frozenset[type[Event]] = frozenset({e.ActionAudited})
"""Whatever services it runs: its door says what was done there."""

FLOW: dict[str, Part] = {
    "workloads": part(
        {
            e.WorkloadAdded,
            e.ActionAudited,
            e.PredictionFlagged,
            e.PredictionCorrected,
            e.CycleRequested,
            e.FailureClustersFound,
            e.DatasetPublished,
            e.DatasetRefused,
            e.TrainingProgressed,
            e.CandidateTrained,
            e.TrainingFailed,
            e.CandidateEvaluated,
            e.CandidateJudged,
        },
        {
            e.WorkloadAdded,
            e.AccessChanged,
            e.CycleStarted,
            e.TrainingRequested,
            e.RunCancelRequested,
            e.RollbackRequested,
        },
        "definitions, their revisions, cycles, rounds, keys, audit log; of each workload one replica decides",
        reads={
            "adapters_v1",
            "agreement_v1",
            "champions_v1",
            "contracted_adapters_v1",
            "corrections_v1",
            "datasets_v1",
            "feedback_v1",
            "flags_v1",
            "lost_champions_v1",
            "pairs_v1",
            "prediction_counts_v1",
            "review_items_v1",
            "runs_v1",
            "scorecards_v1",
            "shadow_waits_v1",
            "training_limits_v1",
            "unmatched_feedback_v1",
            "verdicts_v1",
        },
    ),
    "model_gateway": part(
        {e.WorkloadAdded, e.ModelPromoted, e.ModelRolledBack},
        {e.PredictionLogged},
        "its outbox: it answers, by the champion alias",
    ),
    "prediction_logging": part(
        {
            e.WorkloadAdded,
            e.PredictionReported,
            e.PredictionLogged,
            e.FeedbackReported,
            e.FeedbackGiven,
        },
        {e.PredictionLogged, e.FeedbackGiven, e.PredictionFlagged},
        "predictions, feedback",
    ),
    "human_review": part(
        {e.WorkloadAdded, e.PredictionFlagged, e.ShadowPairRecorded, e.ReviewGiven},
        {e.ReviewGiven, e.PredictionCorrected},
        "review queue, reviews, corrections",
        reads={"predictions_v1"},
    ),
    "failure_clustering": part(
        {e.CycleStarted},
        {e.FailureClustersFound},
        "failures, clusters and their life",
        reads={"predictions_v1", "workload_revisions_v1"},
    ),
    "data_augmentation": part(
        {e.WorkloadAdded, e.FailureClustersFound},
        {e.DatasetPublished, e.DatasetRefused},
        "dataset versions, golden and held-out rows",
        reads={"predictions_v1"},
    ),
    "retraining": part(
        {
            e.WorkloadAdded,
            e.ModelPromoted,
            e.ModelRolledBack,
            e.DatasetPublished,
            e.TrainingRequested,
            e.RunCancelRequested,
        },
        {e.TrainingProgressed, e.CandidateTrained, e.TrainingFailed, e.CandidateEvaluated},
        "runs, adapters, scorecards",
        reads={"contracted_adapters_v1"},
    ),
    "shadow_deployment": part(
        {e.WorkloadAdded, e.CandidateEvaluated, e.PredictionCorrected, e.RollbackRequested},
        {e.ShadowPairRecorded, e.CandidateJudged, e.ModelPromoted, e.ModelRolledBack},
        "pairs, verdicts, which adapter is champion",
        reads={"arrivals_v1", "predictions_v1"},
    ),
    "console": part(
        set(e.EVENTS) - EVERY_PROCESS_CONSUMES - EVERY_PROCESS_PRODUCES,
        set(),
        "nothing: it shows live events and published views, and asks workloads and human_review over HTTP",
        reads={
            "agreement_v1",
            "arrivals_v1",
            "champions_v1",
            "clusters_v1",
            "corrections_v1",
            "cycles_v1",
            "dataset_refusals_v1",
            "datasets_v1",
            "feedback_v1",
            "flags_v1",
            "lost_champions_v1",
            "pairs_v1",
            "prediction_counts_v1",
            "review_items_v1",
            "runs_v1",
            "scorecards_v1",
            "shadow_waits_v1",
            "unmatched_feedback_v1",
            "verdicts_v1",
        },
    ),
}
