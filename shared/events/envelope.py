"""How an event travels on Kafka: CloudEvents 1.0, binary mode, and ids that derive from causes.

Specification: CloudEvents 1.0.2 and its Kafka protocol binding.
"""

from __future__ import annotations

import json
import struct
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
_FREE = b"\xff" * 6 + b"\x0f\xff\x3f" + b"\xff" * 11  # of a digest: all bits but version and variant
_VERSION_5 = bytes(6) + b"\x50\x00\x80" + bytes(11)
_fields = struct.Struct("8s4s4s4s12s8x").iter_unpack
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
    common: Mapping[str, str]
    """Headers that others have too. They share the map: one for each would cost as much as all the rest."""
    event_id: bytes = b""
    event_time: str = ""
    """Of an event: its own two headers, which stand beside those."""

    @property
    def headers(self) -> dict[str, str]:
        """All of them."""
        if not self.event_id:
            return dict(self.common)
        return {**self.common, "ce_id": self.event_id.decode(), "ce_time": self.event_time}


def derived_id(*cause: str) -> str:
    """A UUIDv5 of the cause: publish the same thing twice and it has the same id."""
    # Spelled out, for a `uuid.UUID` costs more than all the rest of a record.
    digest = sha1(_NAMESPACE + "\x1f".join(cause).encode(), usedforsecurity=False).hexdigest()
    variant = _VARIANTS[digest[16]]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def derived_ids(first: Sequence[str], last: Iterable[bytes]) -> list[bytes]:
    """The same for many causes that differ by their last part alone: at once it costs half."""
    before = _NAMESPACE + "".join([f"{part}\x1f" for part in first]).encode()
    digests = b"".join([sha1(before + part, usedforsecurity=False).digest() for part in last])
    count = len(digests) // 20
    bits = int.from_bytes(digests) & int.from_bytes(_FREE * count) | int.from_bytes(_VERSION_5 * count)
    return list(map(b"-".join, _fields(bits.to_bytes(len(digests)).hex().encode())))


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
        common=common_headers(topic, source),
        event_id=event.event_id.encode(),
        event_time=event.happened_at().isoformat(),
    )


@cache
def common_headers(topic: Topic, source: str) -> Mapping[str, str]:
    """Of all events of a kind that a service publishes."""
    return {
        "ce_specversion": "1.0",
        "ce_source": f"/tuneloop/{source}",
        "ce_type": event_type(topic),
        "content-type": "application/json",
    }


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
