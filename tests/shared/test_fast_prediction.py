"""Predictions are read many at a time exactly as they are read one by one."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.events import EVENTS, Event, InvalidMessage, PredictionLogged, read, record
from shared.events.envelope import Headers, event_type
from shared.events.fast_prediction import FastPrediction, read_predictions
from shared.fields import MAX_TEXT_BYTES

FIELDS = tuple(PredictionLogged.model_fields)
WHOLE: dict[str, Any] = {
    "prediction_id": "p-1",
    "workload": "tickets",
    "predicted_at": "2026-11-24T12:00:00.123Z",
    "input": "Where is my card?",
    "answer": "card_arrival",
    "confidence": 0.5,
    "probabilities": {"card_arrival": 0.5, "refund": 0.5},
    "adapter": "tickets-v1",
    "latency_ms": 12.5,
    "tokens_in": 7,
    "attributes": {"channel": "mail"},
    "subject_id": "s",
    "group_id": None,
    "revision": 3,
    "written_by": "gateway",
}
PLAIN: Headers = [
    ("ce_type", event_type(PredictionLogged.topic).encode()),
    ("content-type", b"application/json"),
]


def one_by_one(value: bytes | None, headers: Headers) -> PredictionLogged | str:
    try:
        return read(PredictionLogged, value, headers)
    except InvalidMessage as invalid:
        return str(invalid)


def assert_the_same(records: list[tuple[bytes | None, Headers]]) -> None:
    found = read_predictions(PredictionLogged, [value for value, _ in records], [each for _, each in records])
    for (value, headers), event in zip(records, found, strict=True):
        wanted = one_by_one(value, headers)
        if isinstance(wanted, str):
            assert isinstance(event, InvalidMessage)
            assert str(event) == wanted
        else:
            assert {name: getattr(event, name) for name in FIELDS} == dict(wanted)
            assert (event.event_id, event.credited) == (wanted.event_id, wanted.credited)


texts = st.text(max_size=8) | st.text(st.characters(codec="utf-8"), max_size=300)
numbers = st.integers() | st.floats() | st.sampled_from([1.0000001, -1e-7, 1.1, 2**32, 2**63, 10**400, -0.0])
times = st.builds(
    "{}{}{}{}".format,
    st.dates().map(str),
    st.sampled_from(["T", " ", "t", "_"]),
    st.times().map(str)
    | st.sampled_from(["23:59:60", "24:00:00", "12:00", "12:00:00.9999999", "1:2:3", "12:00:00,5"]),
    st.sampled_from(
        ["Z", "", "+00:00", "-00:00", "+14:00", "-23:59", "+24:00", "+0100", "z", "123456789Z", "0Z"]
    ),
)
ids = st.text(st.sampled_from("abz09._:-\n A"), max_size=5) | st.sampled_from(
    ["x" * 128, "x" * 129, "cmpl-x"]
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts | times | ids,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)
changes = st.dictionaries(st.sampled_from([*FIELDS, "unknown"]), values, max_size=3)
headers = st.lists(
    st.tuples(
        st.sampled_from(["ce_type", "content-type", "traceparent", "ce_id"]),
        st.none()
        | st.binary(max_size=3)
        | st.sampled_from([PLAIN[0][1], PLAIN[1][1], b"application/cloudevents+json"]),
    ),
    max_size=3,
)


def written(changed: dict[str, Any], missing: set[str], doubled: dict[str, Any]) -> bytes:
    """JSON in which names may be missing, or stand twice."""
    pairs = [*({**WHOLE, **changed}).items(), *doubled.items()]
    inner = ",".join(
        f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs if name not in missing
    )
    return f"{{{inner}}}".encode()


records = st.tuples(
    st.builds(written, changes, st.sets(st.sampled_from(FIELDS), max_size=1), changes)
    | st.builds(written, st.just({}), st.just(set()), st.just({}))
    | st.binary(max_size=40)
    | st.none(),
    st.just(PLAIN) | headers,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(records, max_size=4))
def test_whatever_stands_in_records_is_read_as_one_by_one(given: list[tuple[bytes | None, Headers]]) -> None:
    assert_the_same(given)


@settings(max_examples=200, deadline=None)
@given(times)
@example("2026-11-24T12:00:00.123999999Z")
@example("0001-01-01T00:00:00+14:00")
@example("9999-12-31T23:59:59.9999999Z")
def test_times_are_read_as_one_by_one(moment: str) -> None:
    assert_the_same([(written({"predicted_at": moment}, set(), {}), PLAIN)])


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=2), st.booleans())
@example(10, b"\xff", False)
@example(40, b"\xed\xa0\x80", False)
def test_bytes_that_were_damaged_are_read_as_one_by_one(place: int, damage: bytes, inserted: bool) -> None:
    whole = written({}, set(), {})
    assert_the_same([(whole[:place] + damage + whole[place + (0 if inserted else len(damage)) :], PLAIN)])


@pytest.mark.parametrize(
    "changed",
    [
        {"input": "x" * MAX_TEXT_BYTES},
        {"input": "x" * (MAX_TEXT_BYTES + 1)},
        {"input": "é" * (MAX_TEXT_BYTES // 2)},
        {"input": "é" * (MAX_TEXT_BYTES // 2) + "e"},
        {"prediction_id": "chatcmpl-0192b6a0-5d3c-7abc-8def-0123456789ab"},
        {"prediction_id": "p-1\n"},
        {"workload": "tickets\n"},
        {"answer": "\ud83d\ude00" * 200},
        {"attributes": {"a": "x" * (1 << 20)}},
        {"attributes": {"": ""}},
        {"probabilities": {"": 0.5}},
        {"tokens_in": 5.0},
        {"confidence": True},
    ],
    ids=[
        "longest",
        "too long",
        "longest in bytes",
        "too long in bytes",
        "seen id",
        "id and newline",
        "name and newline",
        "emoji",
        "large attributes",
        "empty attribute",
        "empty label",
        "whole float",
        "boolean",
    ],
)
def test_at_the_bounds_they_are_read_as_one_by_one(changed: dict[str, Any]) -> None:
    plain: tuple[bytes | None, Headers] = (written({}, set(), {}), PLAIN)
    assert_the_same([plain, (written(changed, set(), {}), PLAIN), plain])


@pytest.mark.parametrize(
    "surrogate", [b'"\\ud800"', b'"\\udc00\\ud800"', b'"a\\ud800b"', b'"\xed\xa0\x80"'], ids=repr
)
def test_lone_surrogates_are_refused_by_both(surrogate: bytes) -> None:
    assert_the_same([(written({}, set(), {}).replace(b'"mail"', surrogate), PLAIN)])


def test_what_we_publish_ourselves_takes_the_quick_way_and_comes_back_whole() -> None:
    event = PredictionLogged.model_validate(WHOLE)
    made = record(event, "test")
    ours = [(name, content.encode()) for name, content in made.headers.items()]
    for headers in (ours, [*ours, ("traceparent", b"00-1-1-00")], [*ours, ("other", b"\xff")]):
        (found,) = read_predictions(PredictionLogged, [made.value], [headers])
        assert isinstance(found, FastPrediction)
        assert found.predicted_at == datetime(2026, 11, 24, 12, 0, 0, 123_000, tzinfo=UTC)
        assert PredictionLogged.model_validate_json(found.to_json()) == event
        assert found.key == event.key


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(EVENTS), st.binary() | st.builds(written, changes, st.just(set()), changes), headers)
def test_no_record_makes_a_reader_raise_anything_but_invalid_message(
    kind: type[Event], value: bytes, given: Headers
) -> None:
    with suppress(InvalidMessage):
        assert read(kind, value, given).event_id
