"""When reviews make a correction, and when they are set aside as disputed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from services.human_review.items import Kind
from shared.workload import Workload


class State(StrEnum):
    OPEN = "open"
    AGREED = "agreed"
    DISPUTED = "disputed"


@dataclass(frozen=True)
class Opinion:
    """One reviewer's latest judgement on a prediction."""

    review_id: str
    reviewer: str
    right_answer: str
    given_at: datetime


@dataclass(frozen=True)
class Outcome:
    """What a prediction's reviews come to. `agreeing` are those behind an agreed answer, oldest first."""

    state: State
    agreeing: Sequence[Opinion] = ()

    @property
    def right_answer(self) -> str:
        return self.agreeing[0].right_answer

    @property
    def agreed_at(self) -> datetime:
        """The time of the review that settled it: the same however often it is worked out again."""
        return self.agreeing[-1].given_at


def reviews_wanted(kind: Kind | None, lot: float, double_share: float, of_a_pair: int) -> int:
    """`of_a_pair` for a pair. Else 2 for a share of lots, and 1 for the others and what nobody queued."""
    if kind is Kind.PAIR:
        return of_a_pair
    if kind is None:
        return 1
    return 2 if lot < double_share else 1


def under_present_names(opinions: Iterable[Opinion], workload: Workload) -> list[Opinion]:
    """The opinions that count, with each label's name of now: those for a label that is none are left out."""
    present = ((one, workload.present_label(one.right_answer)) for one in opinions)
    return [replace(one, right_answer=label) for one, label in present if label is not None]


def outcome(opinions: Sequence[Opinion], wanted: int) -> Outcome:
    """Open until `wanted` reviewers have judged; then more than half of all must give one answer.

    So two who disagree dispute it, and a third settles it by siding with one. Takes one opinion per reviewer.
    """
    if len(opinions) < wanted or not opinions:
        return Outcome(State.OPEN)
    answer, votes = Counter(opinion.right_answer for opinion in opinions).most_common(1)[0]
    if 2 * votes <= len(opinions):
        return Outcome(State.DISPUTED)
    agreeing = [opinion for opinion in opinions if opinion.right_answer == answer]
    return Outcome(State.AGREED, sorted(agreeing, key=lambda one: (one.given_at, one.review_id)))
