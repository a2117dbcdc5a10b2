"""A failure: a wrong answer, or one that was doubted or disliked and that no reviewer has looked at yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Failure:
    """A wrong answer, or one suspected to be wrong: then `right_answer` is empty."""

    prediction_id: str
    answer: str
    right_answer: str = ""
    predicted_at: datetime | None = None
    """None in lists of version 0.1."""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Failure:
        """From a row of a cycle's frozen list."""
        at = row.get("predicted_at")
        return cls(
            row["prediction_id"],
            row["answer"],
            row["right_answer"],
            datetime.fromisoformat(at) if at else None,
        )
