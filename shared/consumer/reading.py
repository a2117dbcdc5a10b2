"""From a record to its event; headers are taken as they came."""

from __future__ import annotations

from typing import TypeVar

from confluent_kafka import Message

from shared.events.envelope import Event, InvalidMessage, read

E = TypeVar("E", bound=Event)


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
