"""What a handler is given, and what it may give back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from shared.events.envelope import Event, Headers

E = TypeVar("E")
Place = tuple[str, int]
"""A topic's name and the number of a partition of it."""


class ConsumerRecord(msgspec.Struct, Generic[E], gc=False, eq=False):
    """An event and where in the log it stands."""

    event: E
    partition: int
    offset: int
    appended_at: int = -1
    """When Kafka has it from, in milliseconds since 1970; -1 if it does not say."""
    unseen: int = 0
    """How many records before it a live watcher of many was not given (see `Sample`)."""
    size: int = 0
    """Bytes of its value."""
    reason: str | None = None
    """Why it cannot be read; then there is no event."""
    key: bytes | None = None
    value: bytes | None = None
    headers: Headers = ()
    """As they came; all three are kept where the event alone would not do to set the record aside."""


Handler = Callable[[Any], Awaitable[None]]
"""Takes one event (`on_…`)."""

ReadMany = Callable[[type[Event], Sequence[bytes | None], Sequence[Headers]], list[Any]]
"""From values and headers to each record's event, or the InvalidMessage it is. Raises nothing."""


@dataclass(frozen=True)
class Invalid:
    """An event that reads well and can still never be handled. `reason` quotes nothing of it."""

    consumed: ConsumerRecord[Any]
    reason: str


@dataclass(frozen=True)
class Batch:
    """Marks a handler that takes all events of a batch at once, as a list of ConsumerRecord.

    It holds what came while the batch before was handled, of all partitions, each in order. The handler may
    give back those that are to be set aside, once it has stored the others.
    """

    handler: Callable[[list[ConsumerRecord[Any]]], Awaitable[Sequence[Invalid] | None]]
    read: ReadMany | None = None
    """Reads the records of a topic that has very many; the events it gives need only have `to_json` and `key`
    and the fields of their class."""


@dataclass(frozen=True)
class Sample:
    """Marks a live watcher's handler of a topic that has very many: it is given a few events a second.

    Each says how many before it were not read (`ConsumerRecord.unseen`).
    """

    handler: Callable[[list[ConsumerRecord[Any]]], Awaitable[None]]
