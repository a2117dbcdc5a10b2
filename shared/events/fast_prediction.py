"""Predictions read many at a time: of no other event are there so many that reading them is what costs.

What the quick way takes is what `PredictionLogged` takes, with the same values. Whatever it does not take at
once goes to that class, which has the word and gives the reason. Tests hold the two equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from shared.events.envelope import Event, Headers, InvalidMessage, derived_id, event_type, read
from shared.events.production import PredictionLogged, Writer, credited
from shared.fields import (
    EARLIEST,
    END_OF_TIME,
    ID_CHARACTERS,
    MAX_RECORD_BYTES,
    MAX_TEXT_BYTES,
    MOST_ITEMS,
    WORKLOAD_NAME_PATTERN,
    in_utc,
)

_JSON = ("content-type", b"application/json")
_OURS = 6  # headers of an event as `record` makes it; the producer adds a trace
_WORKLOAD = re.compile(WORKLOAD_NAME_PATTERN)

_Id = Annotated[str, Meta(min_length=1, max_length=128)]
_Name = Annotated[str, Meta(min_length=1, max_length=200)]
_Share = Annotated[float, Meta(ge=0, le=1)]


class FastPrediction(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A PredictionLogged that was read: the same fields, and no model around them."""

    prediction_id: _Id
    workload: str
    predicted_at: Annotated[datetime, Meta(tz=True)]
    input: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_BYTES)]
    answer: _Name
    confidence: _Share
    adapter: _Name
    probabilities: Annotated[dict[_Name, _Share], Meta(max_length=MOST_ITEMS)] = {}
    latency_ms: Annotated[float, Meta(ge=0, le=1e12)] = 0.0
    tokens_in: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0
    attributes: Annotated[dict[str, str], Meta(max_length=MOST_ITEMS)] = {}
    subject_id: _Id | None = None
    group_id: _Id | None = None
    revision: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    written_by: Writer | None = None

    @property
    def credited(self) -> str:
        return credited(self.adapter, self.written_by)

    @property
    def event_id(self) -> str:
        return derived_id(PredictionLogged.topic.name, self.workload, self.prediction_id)

    @property
    def key(self) -> str:
        return self.prediction_id

    def to_json(self) -> bytes:
        """The value of its record, as `PredictionLogged` reads it."""
        return msgspec.json.encode(self)


_decode: Callable[[Any], FastPrediction] = msgspec.json.Decoder(FastPrediction).decode


def read_predictions(
    kind: type[Event], values: Sequence[bytes | None], headers: Sequence[Headers]
) -> list[Any]:
    """Of each record its event, a FastPrediction or a PredictionLogged, or the InvalidMessage it is."""
    if not values:
        return []
    own_type = ("ce_type", event_type(kind.topic).encode())
    try:
        found: list[Any] = list(map(_decode, values))
    except Exception:  # one of them is no such JSON
        found = list(map(_decoded, values))
    is_plain = [_is_binary_mode(each, own_type) for each in headers]
    if not all(is_plain) or not all(found) or not _keep_the_bounds(found, values):
        for number, (event, value) in enumerate(zip(found, values, strict=True)):
            if not (is_plain[number] and event is not None and _keep_the_bounds([event], [value])):
                found[number] = _read(kind, value, headers[number])
    return found


def _decoded(value: bytes | None) -> FastPrediction | None:
    try:
        return _decode(value)
    except Exception:
        return None


def _read(kind: type[Event], value: bytes | None, headers: Headers) -> Event | InvalidMessage:
    try:
        return read(kind, value, headers)
    except InvalidMessage as invalid:
        return invalid


def _is_binary_mode(headers: Headers, own_type: tuple[str, bytes]) -> bool:
    """Whether the headers are for certain those of a record of this type in binary mode."""
    count = len(headers)
    if (  # as our own are published; a map would have to hash every name
        (count == _OURS or (count == _OURS + 1 and headers[_OURS][0] == "traceparent"))
        and headers[2] == own_type
        and headers[3] == _JSON
        and headers[4][0] == "ce_id"
        and headers[5][0] == "ce_time"
    ):
        return True
    named = dict(headers)
    return named.get("ce_type") == own_type[1] and named.get("content-type") == _JSON[1]


def _keep_the_bounds(events: Sequence[FastPrediction], values: Sequence[bytes | None]) -> bool:
    """Whether all of them keep those bounds that the decoder does not know. Times are put into UTC."""
    try:
        for event in events:
            moment = event.predicted_at
            if moment.tzinfo is not UTC or moment.microsecond % 1000:
                event.predicted_at = in_utc(moment)
    except ValueError:
        return False
    times = [event.predicted_at for event in events]
    ids = "".join([event.prediction_id for event in events])
    others = [event.subject_id for event in events if event.subject_id is not None]
    others += [event.group_id for event in events if event.group_id is not None]
    longest = max(map(len, values))  # type: ignore[arg-type]  # what was read is bytes
    return (
        "cmpl-" not in ids
        and not (ids + "".join(others)).encode().translate(None, ID_CHARACTERS)
        and all(map(_WORKLOAD.fullmatch, {event.workload for event in events}))
        and min(times) >= EARLIEST
        and max(times) < END_OF_TIME
        and longest <= MAX_RECORD_BYTES
        and (
            longest <= MAX_TEXT_BYTES  # no text is longer than the JSON it stood in
            or max(len(event.input.encode()) for event in events) <= MAX_TEXT_BYTES
        )
    )
