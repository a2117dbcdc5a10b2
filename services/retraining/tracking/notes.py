"""What an event says in MLflow's terms: parameters, metrics and tags of a run, and aliases of a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from shared.events import (
    CandidateEvaluated,
    CandidateTrained,
    Event,
    FrozenAdapter,
    ModelPromoted,
    ModelRolledBack,
    Scorecard,
    TrainingFailed,
    TrainingProgressed,
)
from shared.fields import Rate

CHAMPION, CHALLENGER = "champion", "challenger"
LONGEST_VALUE = 5000
"""MLflow takes 6,000 characters for a parameter, and 8,000 for a tag."""


@dataclass(frozen=True)
class RunNote:
    """About one run. `step` is the optimiser step that the metrics belong to."""

    workload: str
    run_id: str
    at: datetime
    step: int = 0
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    ends: Literal["FINISHED", "FAILED"] | None = None

    @property
    def about(self) -> tuple[str, str]:
        return ("run", self.run_id)


@dataclass(frozen=True)
class AliasNote:
    """From now on this alias of the workload's model is this adapter."""

    workload: str
    alias: str
    adapter: FrozenAdapter
    run_id: str | None
    """The run it is from, where the event says so."""
    revision: int = 0
    """Of the champion: the highest holds, whatever order the events come in."""

    @property
    def about(self) -> tuple[str, str]:
        return ("alias", f"{self.workload}/{self.alias}")


Note = RunNote | AliasNote


def notes(event: Event) -> Iterator[Note]:
    """None for an event that MLflow has no place for."""
    match event:
        case TrainingProgressed(phase="training"):
            measured = {"train_loss": event.loss, "eval_loss": event.eval_loss}
            metrics = {name: loss for name, loss in measured.items() if loss is not None}
            if metrics:
                yield RunNote(event.workload, event.run_id, event.progressed_at, event.done, metrics=metrics)
        case CandidateTrained():
            yield _trained(event)
        case CandidateEvaluated():
            yield RunNote(
                event.workload,
                event.run_id,
                event.evaluated_at,
                metrics=dict(_scores(event.scorecard)),
                tags={"tuneloop.champion": event.champion or ""},
                ends="FINISHED",
            )
            yield AliasNote(event.workload, CHALLENGER, event.candidate, event.run_id)
        case TrainingFailed():
            tags = {"tuneloop.reason": event.reason[:LONGEST_VALUE]}
            yield RunNote(event.workload, event.run_id, event.failed_at, tags=tags, ends="FAILED")
        case ModelPromoted():
            yield AliasNote(event.workload, CHAMPION, event.champion, event.run_id, event.revision)
        case ModelRolledBack():
            yield AliasNote(event.workload, CHAMPION, event.champion, None, event.revision)


def _trained(event: CandidateTrained) -> RunNote:
    said = {
        "base_model": event.candidate.base_model,
        "method": event.method,
        "dataset_id": event.dataset_id,
        "train_rows": event.train_rows,
        **dict(flat(event.plan or {})),
    }
    measured = {
        "steps": event.steps,
        "final_loss": event.final_loss,
        "best_eval_loss": event.eval_loss,
        "rows_seen": event.rows_seen,
        "epochs_seen": event.epochs_seen,
        "training_seconds": event.seconds,
        "peak_memory_gb": event.peak_memory_gb,
        "estimated_memory_gb": event.estimated_memory_gb,
    }
    return RunNote(
        event.workload,
        event.run_id,
        event.trained_at,
        event.steps,
        params={name: str(value)[:LONGEST_VALUE] for name, value in said.items()},
        metrics={name: float(value) for name, value in measured.items() if value is not None},
        tags={
            "tuneloop.adapter": event.candidate.name,
            "tuneloop.adapter_digest": event.candidate.digest,
            "tuneloop.cycle_id": event.cycle_id or "",
            "tuneloop.warnings": " ".join(event.warnings)[:LONGEST_VALUE],
        },
    )


def flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """`{"device": {"kind": "cpu"}}` as `device.kind`: MLflow's parameters hold no others."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _scores(card: Scorecard) -> Iterator[tuple[str, float]]:
    rates: dict[str, Rate | None] = {
        "held_out": card.held_out,
        "base_model": card.base_model,
        "champion": card.champion,
        "golden": card.golden,
        **{f"adversarial/{one.generator}": one.candidate for one in card.adversarial},
    }
    for name, rate in rates.items():
        if rate is not None:
            yield f"{name}/accuracy", rate.value
            yield f"{name}/accuracy_low", rate.low
            yield f"{name}/accuracy_high", rate.high
            yield f"{name}/n", rate.n
    differences = {"held_out": card.held_out_difference, "golden": card.golden_difference}
    for name, difference in differences.items():
        if difference is not None:
            yield f"{name}/difference", difference.delta
            yield f"{name}/difference_low", difference.low
            yield f"{name}/difference_high", difference.high
    if card.labels:
        yield "held_out/macro_f1", sum(label.f1 for label in card.labels) / len(card.labels)
    yield "majority_share", card.majority_share
    yield "calibration_error", card.calibration_error
