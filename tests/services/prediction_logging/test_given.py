"""msgspec and the models read the same from the same bytes, or both refuse them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from services.prediction_logging.given import (
    PredictionGiven,
    PredictionRead,
    _one,
    _settled,
    read_prediction,
)
from services.prediction_logging.kinds import Predictions
from services.prediction_logging.request_keys import RequestKey
from shared.events import PredictionLogged, Writer, read, record
from shared.events.envelope import InvalidMessage
from shared.projections import Workloads
from tests.services.prediction_logging.conftest import NOON, workload_added

SEEN = "01938e2c-5e1c-7aaa-8bbb-0123456789ab"
RIGHT: dict[str, Any] = {
    "workload": "tickets",
    "input": "Where is my money?",
    "answer": "refund",
    "confidence": 0.8,
    "adapter": "gpt-in-house",
}
numbers = st.one_of(
    st.floats(allow_nan=True),
    st.integers(min_value=-(2**70), max_value=2**70),
    st.sampled_from([1.0000001, -1e-7, 1.000002, "0.5", "1", True, -0.0, 2**32, 1e12, 1.0000000001e12]),
)
texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["tickets", "refund", "a.b:c-d", "é" * 129, "x" * 200, "x" * 201, "\ud800", "\u0000", "7"]
    ),
)
times = st.one_of(
    st.datetimes(timezones=st.sampled_from([UTC])).map(datetime.isoformat),
    st.sampled_from(
        [
            "2026-11-24T13:00:00+01:00",
            "2026-11-24T13:00:00.1239999Z",
            "2026-11-24T13:00:00.9999995Z",
            "2026-11-24 13:00:00Z",
            "2026-11-24T13:00:00",
            "2026-11-24T13:00Z",
            "2026-11-24T24:00:00Z",
            "2026-11-24T23:59:60Z",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
            "2026-11-24T13:00:00-24:00",
            "2026-02-30T13:00:00Z",
            "2026-W48-2T13:00:00Z",
            "20261124T130000Z",
            "1732449600",
            "٢٠٢٦-11-24T13:00:00Z",
        ]
    ),
)
values = st.one_of(
    st.none(),
    numbers,
    texts,
    times,
    st.dictionaries(texts, st.one_of(numbers, texts, st.none()), max_size=4),
    st.lists(texts, max_size=2),
)
shares = st.floats(0, 1)
names = st.sampled_from(["refund", "tickets"])
ids = st.one_of(st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True), st.just(f"chatcmpl-{SEEN}"))
usual: dict[str, st.SearchStrategy[Any]] = {
    "prediction_id": ids,
    "predicted_at": times,
    "input": st.text(min_size=1),
    "answer": names,
    "confidence": shares,
    "probabilities": st.dictionaries(names, st.one_of(shares, st.sampled_from([1.0000001, -1e-7, 1, 0]))),
    "latency_ms": st.one_of(st.floats(0, 1e12), st.integers(0, 10**12)),
    "tokens_in": st.integers(0, 2**32 - 1),
    "attributes": st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3),
    "user": st.text(),
    "group_id": ids,
}
mostly_usual = st.fixed_dictionaries(
    {}, optional={name: st.one_of(one, one, st.none()) for name, one in usual.items()}
)
unusual = st.dictionaries(
    st.one_of(st.sampled_from([*PredictionGiven.model_fields, "confidense"]), st.text(max_size=3)),
    values,
    max_size=2,
)
changes = st.one_of(mostly_usual, st.tuples(mostly_usual, unusual).map(lambda both: both[0] | both[1]))
lines = st.one_of(
    changes.map(lambda change: json.dumps(RIGHT | change)),
    changes.map(lambda change: json.dumps(RIGHT | change, ensure_ascii=False)),
    values.map(json.dumps),
).map(lambda text: text.encode("utf-8", "surrogatepass"))


def by_model(line: bytes) -> dict[str, Any] | None:
    try:
        return dict(PredictionGiven.model_validate_json(line))
    except ValidationError:
        return None


def by_msgspec(line: bytes) -> dict[str, Any] | None:
    try:
        settled = _settled(_one.decode(line), len(line))
    except ValueError:
        return None
    if settled.predicted_at is not None:
        settled.predicted_at = datetime.fromisoformat(settled.predicted_at)
    return {
        name: PredictionGiven.model_fields[name].get_default(call_default_factory=True)
        if value is None
        else value
        for name, value in msgspec.structs.asdict(settled).items()
    }


@settings(max_examples=1500)
@given(lines)
def test_whatever_msgspec_reads_the_model_reads_the_same(line: bytes) -> None:
    read_quickly = by_msgspec(line)
    if read_quickly is not None:
        assert read_quickly == by_model(line)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"predicted_at": "2026-11-24T13:00:00.123+01:00", "prediction_id": "chatcmpl-7", "user": "é"},
        {"probabilities": {"refund": 1.0000001, "other": 0}, "latency_ms": 12, "tokens_in": 5},
        {"attributes": {"a": "b"}, "group_id": "g", "user": None, "confidence": 1},
    ],
)
def test_what_apps_usually_send_is_read_by_msgspec(change: dict[str, Any]) -> None:
    line = json.dumps(RIGHT | change).encode()
    assert by_msgspec(line) == by_model(line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"NaN",
        b"\xff",
        json.dumps(RIGHT | {"confidence": float("nan")}).encode(),
        json.dumps(RIGHT).encode()[:-1],
        json.dumps(RIGHT).encode() + b"x",
    ],
)
def test_what_neither_reads_is_a_validation_error(line: bytes) -> None:
    with pytest.raises(ValidationError):
        read_prediction(line)


def record_value(line: bytes) -> tuple[PredictionRead, Any]:
    workloads = Workloads()
    workloads.apply(workload_added(labels=("refund", "tickets")))
    kind = Predictions(workloads, lambda user: f"s-{len(user)}" if user else None)
    read_line = read_prediction(line)
    return read_line, kind.event(read_line, 3, RequestKey("k", "local", None), NOON)


@settings(max_examples=500)
@given(changes.map(lambda change: json.dumps(RIGHT | change).encode()))
def test_a_record_is_the_one_that_the_event_itself_would_be(line: bytes) -> None:
    try:
        _, made = record_value(line)
    except ValidationError:
        return
    if not hasattr(made, "record"):
        return
    try:
        event = read(PredictionLogged, made.record.value, made.record.headers.items())
    except InvalidMessage as error:
        raise AssertionError(line) from error
    again = record(event, "prediction_logging")
    assert (again.topic, again.key, again.headers) == (
        made.record.topic,
        made.record.key,
        made.record.headers,
    )
    given_fields = PredictionGiven.model_validate_json(line)
    assert event.model_dump(
        exclude={"subject_id", "revision", "written_by", "prediction_id", "predicted_at"}
    ) == (given_fields.model_dump(exclude={"user", "prediction_id", "predicted_at"}))
    assert event.prediction_id == (given_fields.prediction_id or made.id)
    assert event.predicted_at == (given_fields.predicted_at or NOON)
    assert (event.revision, event.written_by) == (1, Writer.APP)
