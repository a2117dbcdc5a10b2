"""The whole system on one page: who consumes what, who produces what.

Services start from this page: a test holds every service's wiring against it, and the AsyncAPI document and
the drawing in the README are made from the wiring.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared import events as e
from shared.events.envelope import Event


@dataclass(frozen=True)
class Part:
    """One service's part in the flow, and what it owns."""

    consumes: frozenset[type[Event]]
    produces: frozenset[type[Event]]
    owns: str


def part(consumes: set[type[Event]], produces: set[type[Event]], owns: str) -> Part:
    return Part(frozenset(consumes), frozenset(produces), owns)


FLOW: dict[str, Part] = {
    "model_gateway": part(
        {e.WorkloadAdded, e.ModelPromoted, e.ModelRolledBack},
        {e.PredictionLogged},
        "its outbox: it answers, by the champion alias",
    ),
    "prediction_logging": part(
        {e.WorkloadAdded, e.PredictionLogged, e.FeedbackGiven},
        {e.PredictionLogged, e.FeedbackGiven, e.PredictionFlagged},
        "predictions, feedback",
    ),
    "human_review": part(
        {e.WorkloadAdded, e.PredictionFlagged, e.ShadowPairRecorded, e.ReviewGiven},
        {e.ReviewGiven, e.PredictionCorrected},
        "review queue, reviews, corrections",
    ),
    "failure_clustering": part(
        {e.WorkloadAdded, e.PredictionFlagged, e.PredictionCorrected, e.CycleRequested},
        {e.CycleRequested, e.FailureClustersFound},
        "failures, clusters",
    ),
    "data_augmentation": part(
        {e.WorkloadAdded, e.FailureClustersFound},
        {e.DatasetPublished, e.DatasetRefused},
        "dataset versions, golden and held-out rows",
    ),
    "retraining": part(
        {e.WorkloadAdded, e.ModelPromoted, e.ModelRolledBack, e.DatasetPublished},
        {e.TrainingProgressed, e.CandidateTrained, e.TrainingFailed, e.CandidateEvaluated},
        "runs, adapters, scorecards",
    ),
    "shadow_deployment": part(
        {e.WorkloadAdded, e.CandidateEvaluated, e.PredictionCorrected, e.RollbackRequested},
        {e.ShadowPairRecorded, e.CandidateJudged, e.ModelPromoted, e.ModelRolledBack},
        "pairs, verdicts, which adapter is champion",
    ),
    "console": part(
        set(e.EVENTS),
        {e.WorkloadAdded, e.CycleRequested, e.ReviewGiven, e.RollbackRequested},
        "nothing: it shows live events and published views",
    ),
}
