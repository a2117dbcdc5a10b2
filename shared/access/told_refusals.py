"""Refusals that are told: the first of each kind at once, the others together, and never too many; pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

REFUSED = frozenset({401, 403})
"""Statuses: who asked was not let in, or may not."""
NOBODY = "nobody"
"""Who sends no key, or none that is known."""
MANY = "…"
"""Stands for what differs, where too many kinds are told as one."""
MOST_KINDS = 100


@dataclass(frozen=True)
class Refusal:
    """What refusals must have in common to be told together."""

    principal: str
    key_id: str
    verb: str
    method: str
    path: str
    status: int
    address: str

    def among_many(self) -> Refusal:
        return replace(self, principal=NOBODY, key_id="", verb="", method=MANY, path=MANY, address=MANY)


class ToldRefusals:
    """In a stretch of time, which ends whenever `over` is called.

    Whoever is refused without end fills no disk.
    """

    def __init__(self) -> None:
        self._counts: Counter[Refusal] = Counter()
        """How many are not told yet, of each kind that was."""

    def met(self, refusal: Refusal) -> Refusal | None:
        """What is to be told now; None: it is told when the stretch is over."""
        if refusal not in self._counts and len(self._counts) >= MOST_KINDS:
            refusal = refusal.among_many()
        if refusal in self._counts:
            self._counts[refusal] += 1
            return None
        self._counts[refusal] = 0
        return refusal

    def over(self) -> list[tuple[Refusal, int]]:
        """What was not told yet, and how often each; a new stretch begins."""
        left = [(refusal, count) for refusal, count in self._counts.items() if count]
        self._counts.clear()
        return left
