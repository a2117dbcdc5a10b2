"""What the service tells its child processes, and what they answer."""

from __future__ import annotations

from services.retraining.store import ModelAnswers
from shared.events import (
    CandidateEvaluated,
    CandidateTrained,
    DatasetPublished,
    FrozenAdapter,
    WorkloadAdded,
)
from shared.fields import Part

TRAIN, EVALUATE = "train", "evaluate"


class TrainTask(Part):
    run_id: str
    dataset: DatasetPublished
    added: WorkloadAdded
    adapters: tuple[FrozenAdapter, ...] = ()
    """Those that a fusion is made of; else none."""
    requested_by: str = ""
    """Empty for the run that follows a dataset by itself."""


class EvaluateTask(Part):
    """A candidate to be compared with the champion of the moment it was trained."""

    run_id: str
    dataset: DatasetPublished
    added: WorkloadAdded
    trained: CandidateTrained
    champion: FrozenAdapter | None
    known: list[ModelAnswers]
    """Answers of the champion and the base model from earlier evaluations."""
    requested_by: str = ""


class TrainResult(Part):
    trained: CandidateTrained


class EvaluateResult(Part):
    evaluated: CandidateEvaluated
    answers: list[ModelAnswers]
