"""Events of runs, as retraining publishes and consumes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from shared.events import (
    AdversarialScore,
    CandidateEvaluated,
    CandidateTrained,
    FrozenAdapter,
    FrozenFile,
    LabelScore,
    ModelPromoted,
    ModelRolledBack,
    Scorecard,
    TrainingFailed,
    TrainingProgressed,
)
from shared.intervals import paired_difference, wilson

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)


def adapter(number: int) -> FrozenAdapter:
    name = f"tickets-v{number}-{number:08x}"
    return FrozenAdapter(
        name=name, uri=f"adapters/{name}", digest=f"sha256:{number:064x}", base_model="small"
    )


def progressed(number: int, step: int, loss: float | None, phase: str = "training") -> TrainingProgressed:
    return TrainingProgressed(
        run_id=f"run-{number}",
        workload="tickets",
        phase=phase,
        done=step,
        total=4,
        loss=loss,
        progressed_at=AT + timedelta(seconds=step),
    )


def trained(number: int) -> CandidateTrained:
    return CandidateTrained(
        run_id=f"run-{number}",
        workload="tickets",
        dataset_id=f"dataset-{number}",
        cycle_id=None,
        cutoff=AT,
        candidate=adapter(number),
        method="lora",
        steps=4,
        train_rows=24,
        final_loss=0.25,
        eval_loss=0.5,
        rows_seen=48,
        epochs_seen=2.0,
        warnings=("Twice.",),
        plan={"lora_r": 16, "device": {"kind": "cpu"}, "target_modules": "all-linear"},
        seconds=9.5,
        peak_memory_gb=2.25,
        estimated_memory_gb=2.5,
        trained_at=AT + timedelta(seconds=5),
    )


def evaluated(number: int, champion: str | None = None) -> CandidateEvaluated:
    card = Scorecard(
        held_out=wilson(8, 10),
        base_model=wilson(2, 10),
        champion=wilson(6, 10) if champion else None,
        held_out_difference=paired_difference(3, 1, 10) if champion else None,
        golden=wilson(9, 10),
        golden_difference=None,
        golden_regressed=False,
        adversarial=[AdversarialScore(generator="typos", n=10, candidate=wilson(7, 10), champion=None)],
        labels=[
            LabelScore(label=name, n=5, precision=1.0, recall=1.0, f1=f1, champion_f1=None)
            for name, f1 in (("a", 0.7), ("b", 0.9))
        ],
        confusions=[],
        majority_share=0.5,
        calibration_error=0.125,
    )
    return CandidateEvaluated(
        run_id=f"run-{number}",
        workload="tickets",
        dataset_id=f"dataset-{number}",
        cycle_id=None,
        cutoff=AT,
        candidate=adapter(number),
        champion=champion,
        scorecard=card,
        answers=FrozenFile(uri="answers", digest=f"sha256:{0:064x}", rows=1),
        seconds=1.0,
        evaluated_at=AT + timedelta(seconds=6),
    )


def failed(number: int, reason: str) -> TrainingFailed:
    return TrainingFailed(
        run_id=f"run-{number}", workload="tickets", dataset_id="d", reason=reason, failed_at=AT
    )


def promoted(number: int, revision: int) -> ModelPromoted:
    return ModelPromoted(
        workload="tickets",
        revision=revision,
        champion=adapter(number),
        previous=None,
        run_id=f"run-{number}",
        promoted_at=AT,
    )


def rolled_back(number: int, revision: int) -> ModelRolledBack:
    return ModelRolledBack(
        workload="tickets",
        revision=revision,
        champion=adapter(number),
        withdrawn="another",
        reason="worse",
        requested_by="ada",
        rolled_back_at=AT,
    )
