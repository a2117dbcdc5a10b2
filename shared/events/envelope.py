"""How an event travels on Kafka: CloudEvents 1.0, binary mode, and ids that derive from causes.

Specification: CloudEvents 1.0.2 and its Kafka protocol binding.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha1
from typing import Any, ClassVar, TypeVar

import msgspec
from pydantic import ValidationError

from shared.fields import Part

NAMESPACE = uuid.UUID("7d4f6f7e-3b0b-5c0e-9d53-6f6e0f7a1c11")  # tuneloop's own, for derived ids
TYPE_PREFIX = "dev.tuneloop."
_NAMESPACE = NAMESPACE.bytes
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))  # two bits of RFC 9562, two of the digest
FOR_EVER: timedelta | None = None
MOST_EVENT_BYTES = 900_000  # of the value: Kafka takes records up to 1 MB, headers and all


Headers = Sequence[tuple[str, bytes | str | None]]
"""As a record carries them."""


class InvalidMessage(Exception):
    """This record can never be handled. The message says why and quotes nothing of the payload."""


@dataclass(frozen=True)
class Topic:
    """Where one kind of event lives. `key` names the field whose value keeps the order."""

    name: str
    key: str
    partitions: int = 3
    retention: timedelta | None = timedelta(days=30)

    @property
    def dead_letters(self) -> str:
        return f"{self.name}-dead-letter"


class Event(Part):
    """A fact in the past tense. Readers ignore fields they do not know: contracts only grow."""

    topic: ClassVar[Topic]
    is_state: ClassVar[bool] = False
    """State events are kept for ever and read from the beginning by every process that consumes them."""

    def cause(self) -> tuple[str, ...]:
        """What this event follows from; the same cause gives the same event id."""
        raise NotImplementedError

    def happened_at(self) -> datetime:
        raise NotImplementedError

    @property
    def event_id(self) -> str:
        return derived_id(self.topic.name, *self.cause())

    @property
    def key(self) -> str:
        return str(getattr(self, self.topic.key))

    def to_json(self) -> bytes:
        """The value of its record."""
        return self.__pydantic_serializer__.to_json(self)


E = TypeVar("E", bound=Event)


class Record(msgspec.Struct, frozen=True, gc=False):
    """One event as it goes to Kafka."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Mapping[str, str]


def derived_id(*cause: str) -> str:
    """A UUIDv5 of the cause: publish the same thing twice and it has the same id."""
    return _uuid5(_NAMESPACE + "\x1f".join(cause).encode())


def derived_ids(first: Sequence[str], last: Iterable[bytes]) -> list[str]:
    """For many causes that differ by their last part alone."""
    before = _NAMESPACE + "".join(f"{part}\x1f" for part in first).encode()
    return [_uuid5(before + part) for part in last]


def _uuid5(named: bytes) -> str:
    # Spelled out, for a `uuid.UUID` costs more than all the rest of a record.
    digest = sha1(named, usedforsecurity=False).hexdigest()
    variant = _VARIANTS[digest[16]]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def now() -> datetime:
    """The present in UTC, to the millisecond, as ClickHouse keeps it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def record(event: Event, source: str) -> Record:
    """The event as a CloudEvents record in binary mode, published by `source` (a service's name)."""
    topic = event.topic
    return Record(
        topic=topic.name,
        key=event.key.encode(),
        value=event.to_json(),
        headers={
            "ce_specversion": "1.0",
            "ce_id": event.event_id,
            "ce_source": f"/tuneloop/{source}",
            "ce_type": event_type(topic),
            "ce_time": event.happened_at().isoformat(),
            "content-type": "application/json",
        },
    )


@cache
def event_type(topic: Topic) -> str:
    """`prediction-logged-v1` is announced as `dev.tuneloop.prediction-logged.v1`."""
    name, _, version = topic.name.rpartition("-")
    return f"{TYPE_PREFIX}{name}.{version}"


def read(kind: type[E], value: bytes | None, headers: Headers) -> E:
    """The event in a record, binary or structured mode.

    Raises InvalidMessage when it is no such event; the reason names fields, never their values.
    """
    named = {name: _text(content) for name, content in headers}
    if value is None:
        raise InvalidMessage("the record has no value")
    try:
        payload: Any = json.loads(value)
    except (ValueError, RecursionError):
        raise InvalidMessage("the value is not valid JSON in UTF-8") from None
    given_type = named.get("ce_type")
    if named.get("content-type", "").startswith("application/cloudevents"):
        if not isinstance(payload, dict):
            raise InvalidMessage("a structured CloudEvent must be a JSON object")
        given_type, payload = payload.get("type"), payload.get("data")
    if given_type is not None and given_type != event_type(kind.topic):
        raise InvalidMessage(f"ce_type is not {event_type(kind.topic)}")
    try:
        return kind.model_validate(payload)
    except ValidationError as error:
        raise InvalidMessage(complaint(error, _field_names(kind))) from None


def complaint(error: ValidationError, known: Container[str] | None = None) -> str:
    """What is wrong with which field, without the value that was wrong.

    With `known` a name that is none of these is left out: keys of maps are what somebody wrote.
    """

    def place(parts: tuple[int | str, ...]) -> str:
        shown = (
            str(part) if known is None or isinstance(part, int) or part in known else "*" for part in parts
        )
        return ".".join(shown) or "event"

    rows = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{place(row['loc'])}: {row['msg']}" for row in rows)


@cache
def _field_names(kind: type[Event]) -> frozenset[str]:
    schema = kind.model_json_schema()
    parts = (schema, *schema.get("$defs", {}).values())
    return frozenset(name for part in parts for name in part.get("properties", ()))


def _text(content: bytes | str | None) -> str:
    if isinstance(content, bytes):
        return content.decode("utf-8", "replace")
    return content or ""
