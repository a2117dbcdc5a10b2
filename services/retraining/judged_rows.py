"""The models' answers beside each other, row by row: what a scorecard is made of."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict

from services.retraining.asked_model import Asked
from services.retraining.scorecard import Judged
from shared.workload import Workload


def judged_rows(candidate: Asked, champion: Asked | None, base: Asked, workload: Workload) -> list[Judged]:
    """Each question that the candidate answered, with what the others said to it, if they were asked."""
    by_place = {
        (question.axis, question.row): base.label(number, workload)
        for number, question in enumerate(base.questions)
    }
    rows = []
    for number, (question, answer) in enumerate(
        zip(candidate.questions, candidate.answers or (), strict=True)
    ):
        said = candidate.label(number, workload)
        assert said is not None, "a candidate that a text is too long for was refused"
        rows.append(
            Judged(
                axis=question.axis,
                row=question.row,
                right_answer=question.right_answer,
                candidate=said,
                confidence=answer.confidence,
                champion=champion.label(number, workload) if champion else None,
                base=by_place.get((question.axis, question.row)),
            )
        )
    return rows


def as_json(row: Judged) -> dict[str, object]:
    """As it is frozen beside the scorecard."""
    return {key: value for key, value in asdict(row).items() if key != "confidence"}


def lacking(workload: Workload, labels: Collection[str]) -> list[str]:
    """The workload's labels that are none of these, by whatever name they had when these were trained."""
    known = {workload.present_label(label) for label in labels}
    return [label for label in workload.labels if label not in known]
