"""What a line of an outbox holds: a whole Kafka record, so that whoever publishes it validates nothing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from pydantic import ValidationError

from shared.events import PredictionLogged
from shared.events.envelope import Record, record


class NotARecord(Exception):
    """This line holds no record: only a crash of the machine leaves such a one."""


class Line(msgspec.Struct, frozen=True):
    """In JSON; the record's value stands in it as it goes to Kafka."""

    at: int
    """When it was appended: milliseconds of Unix time."""
    topic: str
    key: str | None
    headers: dict[str, str]
    value: msgspec.Raw


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Line)


def lines_of(records: Sequence[Record], at: int) -> bytes:
    """A line each; their values are JSON, in which a line break can only stand between tokens."""
    return b"".join(_ENCODER.encode(_line(one, at)) + b"\n" for one in records)


def _line(made: Record, at: int) -> Line:
    key = None if made.key is None else made.key.decode()
    return Line(at, made.topic, key, made.headers, msgspec.Raw(made.value.replace(b"\n", b" ")))


def record_in(line: bytes) -> tuple[Record, int | None]:
    """The record, and when it was appended if the line says so. Raises NotARecord."""
    try:
        made = _DECODER.decode(line)
    except msgspec.MsgspecError:
        return _prediction_of_0_2(line), None
    key = None if made.key is None else made.key.encode()
    return Record(made.topic, key, bytes(made.value), made.headers), made.at


def _prediction_of_0_2(line: bytes) -> Record:
    """The gateway's lines of version 0.2 and before: a bare PredictionLogged."""
    try:
        return record(PredictionLogged.model_validate_json(line), "model_gateway")
    except ValidationError:
        raise NotARecord from None
