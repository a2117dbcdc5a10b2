"""Two answers to one request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """Two answers to one request, and the right one once reviewers agreed on it."""

    champion_answer: str
    candidate_answer: str
    right_answer: str | None
    reviewers: int = 1
    """How many agreed on the right answer."""

    @property
    def differs(self) -> bool:
        return self.champion_answer != self.candidate_answer

    @property
    def waits(self) -> bool:
        return self.differs and self.right_answer is None
