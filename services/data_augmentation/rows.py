"""A labelled row on its way into a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.fields import MAX_TEXT_BYTES
from shared.workload import Workload


@dataclass(frozen=True)
class Row:
    """A text and its right answer."""

    text: str
    label: str
    prediction_id: str | None = None
    """The corrected prediction the row comes from; None for the workload's own rows."""
    split: str | None = None
    """"train", "golden" or "held_out" where the workload's owner fixed it."""

    def as_json(self) -> dict[str, Any]:
        """As it stands in a dataset's files."""
        return {"text": self.text, "label": self.label, "prediction_id": self.prediction_id}

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Row:
        return cls(row["text"], row["label"], row.get("prediction_id"), row.get("split"))


def under_present_names(rows: Iterable[Row], workload: Workload) -> list[Row]:
    """Each row under its label's name of now; one whose label was removed keeps it, and is then invalid."""
    return [replace(row, label=workload.present_name(row.label)) for row in rows]


def valid_rows(rows: Iterable[Row], labels: Iterable[str]) -> tuple[list[Row], int]:
    """The rows a model can learn from, and how many are not: no text, too long, not the workload's label."""
    known = frozenset(labels)
    valid, invalid = [], 0
    for row in rows:
        if row.text.strip() and len(row.text.encode()) <= MAX_TEXT_BYTES and row.label in known:
            valid.append(row)
        else:
            invalid += 1
    return valid, invalid
