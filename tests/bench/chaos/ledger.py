"""What was acknowledged, as the sources saw it; kept outside of all that is killed."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Ledger:
    """Ids by what they are of, with the number of their content."""

    predictions: dict[str, int] = field(default_factory=dict)
    feedback: dict[str, int] = field(default_factory=dict)
    answers_given: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Prediction id → question and answer, by the gateway."""
    how: dict[str, str] = field(default_factory=dict)
    """Id → by whom and when, for those that came over HTTP."""
    unsure: int = 0
    """Events of which nobody said whether they were taken, and that were not sent again."""
    answers: Counter[str] = field(default_factory=Counter)
    """What intake and gateway answered, and how often."""
    began: float = field(default_factory=time.monotonic)

    @property
    def acknowledged(self) -> int:
        return len(self.predictions) + len(self.feedback) + len(self.answers_given)

    def at(self) -> str:
        return f"{time.monotonic() - self.began:.1f} s"
