"""What the demo found, gathered from the events of its cycle; nothing in it is computed anywhere else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.events import (
    CandidateEvaluated,
    CandidateJudged,
    CandidateTrained,
    Cluster,
    DatasetPublished,
    Difference,
    FailureClustersFound,
    Rate,
    ShadowPairRecorded,
    Verdict,
)


@dataclass
class Results:
    """One run of the demo. Lists are in the order things happened."""

    first: CandidateEvaluated
    clusters: FailureClustersFound | None = None
    dataset: DatasetPublished | None = None
    trained: CandidateTrained | None = None
    evaluated: CandidateEvaluated | None = None
    pairs: list[ShadowPairRecorded] = field(default_factory=list)
    judged: CandidateJudged | None = None
    answers: Sequence[Mapping[str, Any]] = ()
    """The evaluated rows of the candidate (see CandidateEvaluated.answers)."""

    @property
    def was_promoted(self) -> bool:
        return self.judged is not None and self.judged.verdict is Verdict.PROMOTE


@dataclass(frozen=True)
class ClusterFate:
    """One kind of error: how often it failed in production, and on held-out rows before and after."""

    name: str
    failures: int
    rows: int
    """Held-out rows with the right answer of this kind."""
    before: int
    after: int


def cluster_fates(clusters: Iterable[Cluster], answers: Iterable[Mapping[str, Any]]) -> list[ClusterFate]:
    """What became of each kind of error, the commonest first.

    Clusters that differ in their words only are one kind: held-out rows have answers, and no cluster.
    """
    held_out = [row for row in answers if row["axis"] == "held_out"]
    failures: Counter[tuple[str, str]] = Counter()
    for cluster in clusters:
        failures[cluster.right_answer, cluster.answer] += cluster.size
    fates = []
    for (right_answer, answer), size in failures.most_common():
        rows = [row for row in held_out if row["right_answer"] == right_answer]
        fates.append(
            ClusterFate(
                f"{right_answer} read as {answer}",
                size,
                len(rows),
                sum(row["champion"] == answer for row in rows),
                sum(row["candidate"] == answer for row in rows),
            )
        )
    return fates


def as_percent(rate: Rate) -> str:
    return f"{100 * rate.value:.1f} % of {rate.n} ({100 * rate.low:.1f}–{100 * rate.high:.1f})"


def as_points(difference: Difference) -> str:
    """Percentage points with their interval."""
    return f"{100 * difference.delta:+.1f} (CI {100 * difference.low:+.1f}…{100 * difference.high:+.1f})"
