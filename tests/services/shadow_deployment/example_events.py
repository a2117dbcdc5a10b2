"""Events and pairs as the tests of this service need them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from services.shadow_deployment.pair import Pair
from shared.events import (
    CandidateEvaluated,
    Difference,
    FrozenAdapter,
    FrozenFile,
    PredictionCorrected,
    Rate,
    RollbackRequested,
    Scorecard,
    WorkloadAdded,
)
from shared.intervals import paired_difference, wilson
from shared.workload import Promotion, Workload

WORKLOAD = "licences"
CUTOFF = datetime(2026, 11, 24, 12, tzinfo=UTC)
DIGEST = "sha256:" + "0" * 64


def pair(winner: str) -> Pair:
    """A pair by who was right: "candidate", "champion", "neither", "both", or "waits" for a review."""
    if winner == "both":
        return Pair("MIT", "MIT", "MIT")
    right = {"candidate": "BSD", "champion": "MIT", "neither": "GPL", "waits": None}[winner]
    return Pair("MIT", "BSD", right)


def adapter(name: str, digest: str = DIGEST, uri: str | None = None) -> FrozenAdapter:
    return FrozenAdapter(
        name=name, uri=uri or f"file:///{name}", digest=digest, base_model="SmolLM2-135M-Instruct"
    )


def scorecard(
    *,
    held_out: Rate | None = None,
    golden: Difference | None = None,
    golden_regressed: bool = False,
    difference: Difference | None = None,
    majority_share: float = 0.3,
) -> Scorecard:
    return Scorecard(
        held_out=held_out or wilson(240, 300),
        base_model=wilson(30, 300),
        champion=wilson(225, 300),
        held_out_difference=difference or paired_difference(30, 15, 300),
        golden=wilson(130, 150),
        golden_difference=golden or paired_difference(8, 6, 150),
        golden_regressed=golden_regressed,
        adversarial=[],
        labels=[],
        confusions=[],
        majority_share=majority_share,
        calibration_error=0.04,
    )


def evaluated(
    candidate: str = "second",
    champion: str | None = "first",
    *,
    minutes: int = 1,
    card: Scorecard | None = None,
    adapter_files: FrozenAdapter | None = None,
) -> CandidateEvaluated:
    return CandidateEvaluated(
        run_id=f"run-{candidate}",
        workload=WORKLOAD,
        dataset_id=f"dataset-{candidate}",
        cycle_id=f"cycle-{candidate}" if champion else None,
        cutoff=CUTOFF,
        candidate=adapter_files or adapter(candidate),
        champion=champion,
        scorecard=card or scorecard(),
        answers=FrozenFile(uri="file:///answers", digest=DIGEST, rows=0),
        seconds=1.0,
        evaluated_at=CUTOFF + timedelta(minutes=minutes),
    )


def corrected(
    prediction_id: str, right_answer: str, *, seconds: int = 0, reviewers: Sequence[str] = ("ada",)
) -> PredictionCorrected:
    return PredictionCorrected(
        prediction_id=prediction_id,
        workload=WORKLOAD,
        predicted_at=CUTOFF,
        adapter="first",
        answer="MIT",
        confidence=0.7,
        right_answer=right_answer,
        reviewers=list(reviewers),
        review_ids=[f"review-{prediction_id}-{seconds}"],
        corrected_at=CUTOFF + timedelta(minutes=5, seconds=seconds),
    )


def rollback(request_id: str = "request-1") -> RollbackRequested:
    return RollbackRequested(
        request_id=request_id,
        workload=WORKLOAD,
        reason="it answers GPL to everything",
        requested_by="ada",
        requested_at=CUTOFF + timedelta(hours=1),
    )


def workload(promotion: Promotion | None = None, answers: dict[str, str] | None = None) -> WorkloadAdded:
    answers = answers or {"MIT": " A", "BSD": " B", "GPL": " C"}
    return WorkloadAdded(
        revision=1,
        definition=Workload(
            name=WORKLOAD,
            title="Licences",
            prompt="{text}\nLicence:",
            labels=tuple(answers),
            promotion=promotion or Promotion(),
        ),
        answers=answers,
        rows=FrozenFile(uri="file:///rows", digest=DIGEST, rows=0),
        added_at=CUTOFF - timedelta(days=1),
    )
