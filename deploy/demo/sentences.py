"""What remains of each stage of the demo: one sentence made of measured figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.demo.results import as_percent, as_points
from deploy.demo.simulated_users import Answered
from shared.events import (
    CandidateEvaluated,
    CandidateTrained,
    DatasetPublished,
    Evidence,
    FailureClustersFound,
    FeedbackGiven,
    FlagReason,
    PredictionFlagged,
    Thumb,
)


def champion(dataset: DatasetPublished, trained: CandidateTrained, evaluated: CandidateEvaluated) -> str:
    score = evaluated.scorecard
    return (
        f"{dataset.train.rows} notices, {trained.steps} steps → held-out {as_percent(score.held_out)}; "
        f"base model {100 * score.base_model.value:.1f} %"
    )


def production(
    answered: Sequence[Answered],
    failed: int,
    flagged: Sequence[PredictionFlagged],
    feedback: Sequence[FeedbackGiven],
) -> str:
    seconds = sorted(one.seconds for one in answered)
    reasons = Counter(reason for _, reason in {(event.prediction_id, event.reason) for event in flagged})
    down = len({event.feedback_id for event in feedback if event.thumb is Thumb.DOWN})
    return (
        f"{len(answered)} requests through the gateway, {failed} failed, "
        f"p95 {1000 * seconds[int(0.95 * len(seconds))]:.0f} ms · {reasons[FlagReason.DOUBTED]} doubtful · "
        f"{down} thumbs down · {reasons[FlagReason.AUDIT]} drawn for audit"
    )


def review(reviewed: int, reviewers: int, agreement: Mapping[str, Any]) -> str:
    share = agreement["share"]
    return (
        f"{reviewed} notices by {reviewers} reviewers, {agreement['n']} of them twice, agreement "
        f"{100 * share['value']:.0f} % ({100 * share['low']:.0f}–{100 * share['high']:.0f})"
    )


def failures(found: FailureClustersFound) -> str:
    biggest = sorted(found.clusters, key=lambda cluster: -cluster.size)[:3]
    named = " · ".join(f"“{cluster.name}” {cluster.size}" for cluster in biggest)
    return f"{len(found.clusters)} clusters of {found.failures.rows} failures: {named}"


def dataset(published: DatasetPublished) -> str:
    counts = published.counts
    return (
        f"v{published.version}, {published.train.rows} rows: +{counts.corrected} corrected, "
        f"−{counts.duplicates} duplicates, {counts.redacted_values} personal values redacted, "
        f"{counts.leaks_blocked} leaks blocked"
    )


def evaluation(evaluated: CandidateEvaluated) -> str:
    score = evaluated.scorecard
    sentence = f"held-out {as_percent(score.held_out)}"
    if score.held_out_difference is not None and score.golden_difference is not None:
        sentence += (
            f", {as_points(score.held_out_difference)} · golden {as_points(score.golden_difference)}, "
            f"sees ≥ {100 * score.golden_difference.detects:.1f}"
        )
    return sentence


def shadow(evidence: Evidence) -> str:
    return (
        f"{evidence.pairs} new requests paired, {evidence.differing} differ, {evidence.reviewed} reviewed: "
        f"candidate right {evidence.candidate_right}, champion right {evidence.champion_right} → "
        f"e-value {evidence.e_value:.3g}, needs {evidence.e_value_needed:.3g}"
    )
