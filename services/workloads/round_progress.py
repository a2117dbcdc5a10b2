"""One time round the loop, of a revision or a cycle: where it is, and how each event moves it on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from shared.events import (
    CandidateEvaluated,
    CandidateJudged,
    CandidateTrained,
    DatasetPublished,
    DatasetRefused,
    FailureClustersFound,
    TrainingFailed,
    TrainingRequested,
    Verdict,
)


class Kind(StrEnum):
    REVISION = "revision"
    CYCLE = "cycle"
    TRAINING = "training"


class Stage(StrEnum):
    """In order: a round never goes back."""

    FAILURES = "failures"
    DATASET = "dataset"
    TRAINING = "training"
    EVALUATION = "evaluation"
    SHADOW = "shadow"
    PROMOTION = "promotion"


ORDER = tuple(Stage)
OUTCOMES = {Verdict.PROMOTE: "promoted", Verdict.HOLD: "held", Verdict.REJECT: "rejected"}
"""What a verdict makes of a round; "refused" and "failed" are the others."""


@dataclass(frozen=True)
class Round:
    workload: str
    dataset_id: str
    """Of the one dataset it leads to: what all its events have in common. A training's is what it is on."""
    round_id: str
    """A cycle's id; for a revision, its dataset's; for a training, its request's."""
    kind: Kind
    stage: Stage
    sentence: str
    revision: int = 0
    """Of the definition, where it is known."""
    outcome: str = ""
    """Empty while it is under way."""
    reason: str = ""
    run_id: str = ""
    request_id: str = ""
    """Of the training that somebody asked for; empty for what leads to a dataset."""
    version: int = 0
    """Milliseconds since 1970 of its last change: whoever knows this one has seen it all."""

    @property
    def is_over(self) -> bool:
        return self.outcome != ""

    @property
    def key(self) -> str:
        """Tells it from every other."""
        return self.request_id or self.dataset_id


Milestone = (
    FailureClustersFound
    | DatasetPublished
    | DatasetRefused
    | CandidateTrained
    | TrainingFailed
    | CandidateEvaluated
    | CandidateJudged
)
"""An event that moves a round on."""


def of_cycle(workload: str, cycle_id: str, failures: int, corrections: int, revision: int) -> Round:
    return Round(
        workload=workload,
        dataset_id=DatasetPublished.id_of_cycle(workload, cycle_id),
        round_id=cycle_id,
        kind=Kind.CYCLE,
        stage=Stage.FAILURES,
        sentence=f"{failures} failures and {corrections} corrections; failures alike are put together",
        revision=revision,
    )


def of_revision(workload: str, revision: int, rows: int) -> Round:
    dataset_id = DatasetPublished.id_of_revision(workload, revision)
    return Round(
        workload=workload,
        dataset_id=dataset_id,
        round_id=dataset_id,
        kind=Kind.REVISION,
        stage=Stage.DATASET,
        sentence=f"{rows} rows are split, redacted and checked",
        revision=revision,
    )


def of_request(requested: TrainingRequested) -> Round:
    method = f" by {requested.training.method}" if requested.training.method else ""
    return Round(
        workload=requested.workload,
        dataset_id=requested.dataset_id,
        round_id=requested.request_id,
        kind=Kind.TRAINING,
        stage=Stage.TRAINING,
        sentence=f"training{method} asked for; it waits for its turn",
        revision=requested.revision,
        run_id=requested.run_id,
        request_id=requested.request_id,
    )


def dataset_of(event: Milestone) -> str | None:
    """The dataset of the round that an event belongs to; None if a revision's event does not say which."""
    if isinstance(event, FailureClustersFound | DatasetRefused):
        return DatasetPublished.id_of_cycle(event.workload, event.cycle_id) if event.cycle_id else None
    return event.dataset_id


def unknown_round(event: Milestone, dataset_id: str) -> Round:
    """A round that began before this service was there."""
    cycle_id = event.cycle_id
    return Round(
        workload=event.workload,
        dataset_id=dataset_id,
        round_id=cycle_id or dataset_id,
        kind=Kind.CYCLE if cycle_id else Kind.REVISION,
        stage=Stage.FAILURES if cycle_id else Stage.DATASET,
        sentence="it began under an earlier version",
    )


def advanced(round_: Round, event: Milestone, version: int) -> Round:
    """The round after an event. Events come in any order: the furthest stage holds, and what is over stays.

    The same round comes back when the event changes nothing.
    """
    if round_.is_over:
        return round_
    if isinstance(event, DatasetRefused):
        return _over(round_, Stage.DATASET, "refused", event.reason, version)
    if isinstance(event, TrainingFailed):
        return _over(round_, Stage.TRAINING, "failed", event.reason, version)
    if isinstance(event, CandidateJudged):
        is_promoted = event.verdict is Verdict.PROMOTE
        stage = Stage.PROMOTION if is_promoted or event.champion is None else Stage.SHADOW
        return _over(round_, stage, OUTCOMES[event.verdict], event.reason, version)
    stage, sentence = _moved_to(event)
    if ORDER.index(stage) <= ORDER.index(round_.stage):
        return round_
    run_id = round_.run_id or getattr(event, "run_id", "")
    return replace(round_, stage=stage, sentence=sentence, run_id=run_id, version=version)


def _moved_to(
    event: FailureClustersFound | DatasetPublished | CandidateTrained | CandidateEvaluated,
) -> tuple[Stage, str]:
    if isinstance(event, FailureClustersFound):
        found = f"{len(event.clusters)} clusters among {event.failures.rows} failures"
        return Stage.DATASET, f"{found}; rows are redacted, deduplicated and checked for leaks"
    if isinstance(event, DatasetPublished):
        rows = f"{event.train.rows} training, {event.golden.rows} golden, {event.held_out.rows} held-out rows"
        return Stage.TRAINING, f"dataset v{event.version} with {rows}; training starts"
    if isinstance(event, CandidateTrained):
        return Stage.EVALUATION, f"trained, {event.steps} steps in {event.seconds:.0f} s; evaluation starts"
    score = event.scorecard.held_out
    said = f"{100 * score.value:.1f} % of {score.n} held-out rows right"
    if event.champion is None:
        return Stage.PROMOTION, f"{said}; the verdict follows"
    return Stage.SHADOW, f"{said}; both models answer the same requests"


def _over(round_: Round, stage: Stage, outcome: str, reason: str, version: int) -> Round:
    sentence = reason.strip().rstrip(".") or outcome
    return replace(round_, stage=stage, sentence=sentence, outcome=outcome, reason=reason, version=version)


def in_shadow(differing: int, waiting: int, pairs: int) -> str:
    """How a shadow stands: what it waits for."""
    said = f"{pairs} requests answered by both, {differing} differ"
    if waiting:
        return f"{said}; {waiting} pairs differ and wait for review"
    return f"{said}; more requests decide"
