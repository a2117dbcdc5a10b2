"""Which of several model servers is asked: one that has the model, is not known to be down, is least busy."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol, TypeVar


class Candidate(Protocol):
    """What the choice looks at; `down_until` by the same clock as `now`."""

    models: set[str]
    down_until: float
    in_flight: int


T = TypeVar("T", bound=Candidate)


def choice(replicas: Iterable[T], model: str, now: float, tried: Collection[T]) -> T | None:
    """None if no other one has the model. One that was down just now is asked when nobody else is left.

    Of equals the first comes: whoever asks puts the one that was asked last at the end.
    """
    left = [each for each in replicas if model in each.models and each not in tried]
    return min(left, key=lambda each: (each.down_until > now, each.in_flight), default=None)
