"""What a handler is given, and what it may give back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from shared.events.envelope import Event

E = TypeVar("E", bound=Event)
Place = tuple[str, int]
"""A topic's name and the number of a partition of it."""


@dataclass(frozen=True)
class ConsumerRecord(Generic[E]):
    """An event and where in the log it stands."""

    event: E
    partition: int
    offset: int


Handler = Callable[[Any], Awaitable[None]]
"""Takes one event (`on_…`)."""


@dataclass(frozen=True)
class Invalid:
    """An event that reads well and can still never be handled. `reason` quotes nothing of it."""

    consumed: ConsumerRecord[Any]
    reason: str


@dataclass(frozen=True)
class Batch:
    """Marks a handler that takes all events of a batch at once, as a list of ConsumerRecord, in order.

    It may give back those that are to be set aside, once it has stored the others.
    """

    handler: Callable[[list[ConsumerRecord[Any]]], Awaitable[Sequence[Invalid] | None]]
