"""Every event of tuneloop: facts in the past tense, one topic each."""

from shared.events.cycles import Cluster, ClusterStatus, CycleRequested, CycleStarted, FailureClustersFound
from shared.events.datasets import DatasetCounts, DatasetPublished, DatasetRefused
from shared.events.envelope import Event, InvalidMessage, Topic, derived_id, now, read, record
from shared.events.production import FeedbackGiven, FlagReason, PredictionFlagged, PredictionLogged, Thumb
from shared.events.promotion import (
    CandidateJudged,
    Evidence,
    Guardrail,
    ModelPromoted,
    ModelRolledBack,
    RollbackRequested,
    ShadowPairRecorded,
    Verdict,
)
from shared.events.review import PredictionCorrected, ReviewGiven
from shared.events.scorecard import AdversarialScore, Confusion, LabelScore, Scorecard
from shared.events.training import (
    CandidateEvaluated,
    CandidateTrained,
    RunCancelRequested,
    TrainingFailed,
    TrainingProgressed,
    TrainingRequested,
)
from shared.events.workloads import WorkloadAdded
from shared.fields import Difference, FrozenAdapter, FrozenFile, Rate

EVENTS: tuple[type[Event], ...] = (
    WorkloadAdded,
    PredictionLogged,
    FeedbackGiven,
    PredictionFlagged,
    ReviewGiven,
    PredictionCorrected,
    CycleRequested,
    CycleStarted,
    FailureClustersFound,
    DatasetPublished,
    DatasetRefused,
    TrainingRequested,
    RunCancelRequested,
    TrainingProgressed,
    CandidateTrained,
    TrainingFailed,
    CandidateEvaluated,
    ShadowPairRecorded,
    CandidateJudged,
    ModelPromoted,
    RollbackRequested,
    ModelRolledBack,
)

__all__ = [
    "EVENTS",
    "AdversarialScore",
    "CandidateEvaluated",
    "CandidateJudged",
    "CandidateTrained",
    "Cluster",
    "ClusterStatus",
    "Confusion",
    "CycleRequested",
    "CycleStarted",
    "DatasetCounts",
    "DatasetPublished",
    "DatasetRefused",
    "Difference",
    "Event",
    "Evidence",
    "FailureClustersFound",
    "FeedbackGiven",
    "FlagReason",
    "FrozenAdapter",
    "FrozenFile",
    "Guardrail",
    "InvalidMessage",
    "LabelScore",
    "ModelPromoted",
    "ModelRolledBack",
    "PredictionCorrected",
    "PredictionFlagged",
    "PredictionLogged",
    "Rate",
    "ReviewGiven",
    "RollbackRequested",
    "RunCancelRequested",
    "Scorecard",
    "ShadowPairRecorded",
    "Thumb",
    "Topic",
    "TrainingFailed",
    "TrainingProgressed",
    "TrainingRequested",
    "Verdict",
    "WorkloadAdded",
    "derived_id",
    "now",
    "read",
    "record",
]
