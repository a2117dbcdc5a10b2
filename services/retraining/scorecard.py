"""A candidate's scorecard from the answers of three models to the same rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from shared.events import AdversarialScore, Confusion, Difference, LabelScore, Rate, Scorecard
from shared.intervals import paired_difference, wilson

MOST_CONFUSIONS = 10
BINS = 10
HELD_OUT, GOLDEN, ADVERSARIAL = "held_out", "golden", "adversarial/"


@dataclass(frozen=True)
class Judged:
    """One row and what each model answered."""

    axis: str
    """"held_out", "golden", or "adversarial/" and the generator's name."""
    row: int
    right_answer: str
    candidate: str
    confidence: float
    """The candidate's."""
    champion: str | None = None
    base: str | None = None
    """The untouched base model's, on held-out rows."""


def scorecard(
    given: Sequence[Judged], labels: Sequence[str], golden_drop: float, champion_lacks: Collection[str] = ()
) -> Scorecard:
    """A drop of `golden_drop` or more is a regression.

    Rows that the champion did not answer, and those whose right answer is a label that it lacks, judge the
    candidate alone.
    """
    rows = [replace(row, champion=None) if row.right_answer in champion_lacks else row for row in given]
    held_out = [row for row in rows if row.axis == HELD_OUT]
    golden = [row for row in rows if row.axis == GOLDEN]
    has_champion = any(row.champion is not None for row in rows)
    golden_difference = _difference(golden) if has_champion else None
    right = Counter(row.right_answer for row in held_out)
    return Scorecard(
        held_out=_rate(held_out, _candidate),
        base_model=_rate(held_out, lambda row: row.base),
        champion=_rate(_compared(held_out), _champion) if has_champion else None,
        held_out_difference=_difference(held_out) if has_champion else None,
        golden=_rate(golden, _candidate),
        golden_difference=golden_difference,
        golden_regressed=golden_difference is not None and golden_difference.delta <= -golden_drop + 1e-9,
        adversarial=_adversarial(rows, has_champion),
        labels=[_label_score(held_out, label, has_champion, champion_lacks) for label in labels],
        confusions=_confusions(held_out, has_champion, champion_lacks),
        majority_share=max(right.values(), default=0) / max(1, len(held_out)),
        calibration_error=calibration_error(
            [(row.confidence, row.candidate == row.right_answer) for row in held_out]
        ),
        champion_lacks=[label for label in labels if label in champion_lacks],
    )


def calibration_error(answers: Sequence[tuple[float, bool]]) -> float:
    """Expected calibration error of (confidence, right?) over 10 equal-width bins (Guo et al. 2017)."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for confidence, right in answers:
        bins[min(BINS - 1, int(confidence * BINS))].append((confidence, right))
    gaps = (abs(sum(right for _, right in bin) - sum(confidence for confidence, _ in bin)) for bin in bins)
    return sum(gaps) / max(1, len(answers))


def _candidate(row: Judged) -> str | None:
    return row.candidate


def _champion(row: Judged) -> str | None:
    return row.champion


def _compared(rows: Sequence[Judged]) -> list[Judged]:
    return [row for row in rows if row.champion is not None]


def _rate(rows: Sequence[Judged], answer: Callable[[Judged], str | None]) -> Rate:
    return wilson(sum(answer(row) == row.right_answer for row in rows), len(rows))


def _difference(rows: Sequence[Judged]) -> Difference:
    compared = _compared(rows)
    pairs = [(row.candidate == row.right_answer, row.champion == row.right_answer) for row in compared]
    return paired_difference(pairs.count((True, False)), pairs.count((False, True)), len(pairs))


def _adversarial(rows: Sequence[Judged], has_champion: bool) -> list[AdversarialScore]:
    axes = dict.fromkeys(row.axis for row in rows if row.axis.startswith(ADVERSARIAL))
    scores = []
    for axis in axes:
        on_axis = [row for row in rows if row.axis == axis]
        scores.append(
            AdversarialScore(
                generator=axis.removeprefix(ADVERSARIAL),
                n=len(on_axis),
                candidate=_rate(on_axis, _candidate),
                champion=_rate(_compared(on_axis), _champion) if has_champion else None,
            )
        )
    return scores


def _label_score(
    rows: Sequence[Judged], label: str, has_champion: bool, champion_lacks: Collection[str]
) -> LabelScore:
    n = sum(row.right_answer == label for row in rows)
    precision, recall, f1 = _precision_recall_f1(rows, label, _candidate)
    is_known = has_champion and label not in champion_lacks
    champion_f1 = _precision_recall_f1(_compared(rows), label, _champion)[2] if is_known else None
    return LabelScore(label=label, n=n, precision=precision, recall=recall, f1=f1, champion_f1=champion_f1)


def _precision_recall_f1(
    rows: Sequence[Judged], label: str, answer: Callable[[Judged], str | None]
) -> tuple[float, float, float]:
    """0 where there is nothing to divide by: a label never answered has no precision to speak of."""
    hits = sum(answer(row) == label == row.right_answer for row in rows)
    answered = sum(answer(row) == label for row in rows)
    carried = sum(row.right_answer == label for row in rows)
    return (
        hits / answered if answered else 0.0,
        hits / carried if carried else 0.0,
        2 * hits / (answered + carried) if answered + carried else 0.0,
    )


def _confusions(
    rows: Sequence[Judged], has_champion: bool, champion_lacks: Collection[str]
) -> list[Confusion]:
    """The ten commonest ways to be wrong, of either model: where one got better shows as well as worse."""
    right = Counter(row.right_answer for row in rows)
    candidate = Counter(
        (row.right_answer, row.candidate) for row in rows if row.candidate != row.right_answer
    )
    champion = Counter(
        (row.right_answer, row.champion)
        for row in rows
        if row.champion is not None and row.champion != row.right_answer
    )
    commonest = sorted(
        candidate.keys() | champion.keys(), key=lambda pair: (-max(candidate[pair], champion[pair]), pair)
    )
    return [
        Confusion(
            right_answer=pair[0],
            answer=pair[1],
            n=right[pair[0]],
            champion=champion[pair] if has_champion and pair[0] not in champion_lacks else None,
            candidate=candidate[pair],
        )
        for pair in commonest[:MOST_CONFUSIONS]
    ]
