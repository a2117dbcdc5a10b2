"""What is wrong with a workload: where, what, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST_COMPLAINTS = 20


@dataclass(frozen=True)
class Complaint:
    where: str
    """Such as "tickets.toml, line 7"."""
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}" if self.where else self.problem


def unknown_setting(name: str) -> str:
    return f'"{name}" is not a setting. Check its spelling.'


class BadWorkload(Exception):
    """The workload cannot be used. It holds every complaint, up to twenty and how many more there are."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        more = len(complaints) - MOST_COMPLAINTS
        shown = list(complaints[:MOST_COMPLAINTS])
        if more > 0:
            shown.append(Complaint("", f"… and {more} more."))
        self.complaints: Sequence[Complaint] = shown
        super().__init__("\n".join(map(str, shown)))
