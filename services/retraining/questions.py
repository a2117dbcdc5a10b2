"""The rows that judge models: which are asked, and what names exactly these."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.retraining.adversarial import adversarial_rows
from services.retraining.scorecard import ADVERSARIAL, GOLDEN, HELD_OUT
from shared.adapters.label_contract import LabelContract
from shared.events import WorkloadAdded


@dataclass(frozen=True)
class Question:
    """A row that judges models. `axis` as in `Judged`; `row` counts within the axis."""

    axis: str
    row: int
    text: str
    right_answer: str


@dataclass(frozen=True)
class Answer:
    label: str | None
    """None: the text is too long for the way it is asked."""
    confidence: float


def questions(
    held_out: Sequence[Mapping[str, Any]], golden: Sequence[Mapping[str, Any]], added: WorkloadAdded
) -> list[Question]:
    """Held-out rows (at most as many as the workload says), golden rows, and adversarial rows made of those.

    Labels go by their names of now; rows whose label the workload no longer has are left out.
    """

    def labelled(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
        return [(row["text"], row["label"]) for row in added.definition.in_present_labels(rows)]

    kept = labelled(golden)
    axes = {HELD_OUT: labelled(held_out)[: added.definition.split.held_out], GOLDEN: kept}
    harder = adversarial_rows(kept, added.definition.labels, seed=added.name)
    axes |= {f"{ADVERSARIAL}{name}": rows for name, rows in harder.items()}
    return [
        Question(axis, row, text, label)
        for axis, rows in axes.items()
        for row, (text, label) in enumerate(rows)
    ]


def questions_digest(asked: Sequence[Question], asked_by: LabelContract) -> str:
    """Names exactly what was asked: the texts, the prompt around them and the answers to choose from.

    What a right answer is called is no part of it: a label that is renamed asks nothing anew.
    """
    everything = {
        "texts": [question.text for question in asked],
        "asked_by": [asked_by.before, asked_by.after, list(asked_by.token_of.items())],
    }
    said = json.dumps(everything, sort_keys=True, ensure_ascii=False)
    return f"sha256:{hashlib.sha256(said.encode('utf-8', 'surrogatepass')).hexdigest()}"
