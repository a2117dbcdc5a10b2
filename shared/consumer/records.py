"""What a handler is given, and what it may give back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from confluent_kafka import Message

from shared.events.envelope import Event, InvalidMessage, read

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


def read_record(kind: type[E], message: Message) -> E:
    """The event in a record. Raises InvalidMessage, whatever it is that reading stumbles over."""
    try:
        return read(kind, message.value(), message.headers() or ())
    except (InvalidMessage, MemoryError):
        raise
    except (
        Exception
    ) as error:  # a header's name that is no UTF-8, a time before the year 1: this record's own
        raise InvalidMessage(f"the record cannot be read ({type(error).__name__})") from None
