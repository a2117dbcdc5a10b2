"""Everything an event carries has bounds, so that no record can stop a reader or an insert."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.events import EVENTS, Event, InvalidMessage, PredictionLogged, derived_id, read
from shared.events.envelope import NAMESPACE, derived_ids
from shared.fields import MAX_RECORD_BYTES, MOST_ITEMS, Attributes, Moment, PredictionId, Share
from shared.time_ordered_ids import time_ordered_id

EXAMPLES = Path(__file__).parent.parent.parent / "shared" / "contracts" / "examples"
BY_TOPIC = {kind.topic.name: kind for kind in EVENTS}
SHARE: TypeAdapter[float] = TypeAdapter(Share)
MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)
PREDICTION_ID: TypeAdapter[str] = TypeAdapter(PredictionId)
ATTRIBUTES: TypeAdapter[dict[str, str]] = TypeAdapter(Attributes)


def example(kind: type[Event]) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((EXAMPLES / kind.topic.name / "first.json").read_bytes())
    return content


def unbounded(schema: dict[str, Any], parts: dict[str, Any], at: str) -> Iterator[str]:
    """Where a value may be of any size."""
    if "$ref" in schema:
        schema = parts[schema["$ref"].rpartition("/")[2]]
    for choice in schema.get("anyOf", ()):
        yield from unbounded(choice, parts, at)
    needed: dict[str, tuple[str, ...]] = {
        "string": ("maxLength", "pattern", "enum", "const", "format"),
        "integer": ("maximum", "exclusiveMaximum"),
        "number": ("maximum", "exclusiveMaximum"),
        "array": ("maxItems",),
    }
    kind = schema.get("type")
    if kind in needed and not any(name in schema for name in needed[kind]):
        yield at
    if kind in ("integer", "number") and not {"minimum", "exclusiveMinimum"} & set(schema):
        yield at
    if kind == "array":
        yield from unbounded(schema["items"], parts, f"{at}[]")
    if kind == "object":
        if "properties" not in schema and "maxProperties" not in schema:
            yield at
        for name, inner in schema.get("properties", {}).items():
            yield from unbounded(inner, parts, f"{at}.{name}")
        if isinstance(schema.get("additionalProperties"), dict):
            yield from unbounded(schema["additionalProperties"], parts, f"{at}{{}}")
            yield from unbounded({"type": "string"} | schema.get("propertyNames", {}), parts, f"{at} key")


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.topic.name)
def test_every_value_of_every_event_has_bounds(kind: type[Event]) -> None:
    schema = kind.model_json_schema()
    assert list(unbounded(schema, schema.get("$defs", {}), kind.__name__)) == []


def texts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all strings in an example."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from texts(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from texts(inner, (*path, number))


def replaced(value: Any, path: tuple[Any, ...], new: str) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.topic.name)
def test_a_lone_surrogate_is_refused_in_every_string(kind: type[Event]) -> None:
    whole = example(kind)
    for path in texts(whole):
        with pytest.raises(InvalidMessage):
            read(kind, json.dumps(replaced(whole, path, "a\ud800")).encode(), ())


@pytest.mark.parametrize(
    "attributes", [{"a": "\ud800"}, {"\ud800": "a"}, {"a": "é" * (MAX_RECORD_BYTES // 2)}]
)
def test_attributes_are_bounded_in_bytes_and_well_formed(attributes: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ATTRIBUTES.validate_python(attributes)
    assert ATTRIBUTES.validate_python({"": "é" * (MAX_RECORD_BYTES // 2)})


@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "1969-12-31T23:59:59.999Z",
        "2200-01-01T00:00:00Z",
        10**4000,
        -(10**18),
        1e308,
    ],
)
def test_a_time_out_of_bounds_is_refused_and_never_an_error_of_ours(moment: object) -> None:
    with pytest.raises(ValidationError):
        MOMENT.validate_python(moment)


@given(st.datetimes(timezones=st.timezones()) | st.text() | st.floats() | st.integers())
def test_a_time_is_taken_in_utc_or_refused(given: object) -> None:
    try:
        moment = MOMENT.validate_python(given)
    except ValidationError:
        return
    assert moment.tzinfo is UTC
    assert 1970 <= moment.year < 2200


@pytest.mark.parametrize(("given", "kept"), [(1.0000001, 1.0), (-1e-7, 0.0), (0.5, 0.5), (1, 1.0)])
def test_a_share_beside_its_bounds_by_rounding_is_put_right(given: float, kept: float) -> None:
    assert SHARE.validate_python(given) == kept


@pytest.mark.parametrize("given", [1.00001, -0.00001, float("nan"), float("inf"), 10**4000])
def test_a_share_out_of_bounds_is_refused(given: float) -> None:
    with pytest.raises(ValidationError):
        SHARE.validate_python(given)


def test_null_for_an_optional_field_means_that_it_is_not_given() -> None:
    whole = example(PredictionLogged)
    required = {name for name, field in PredictionLogged.model_fields.items() if field.is_required()}
    least = {name: value for name, value in whole.items() if name in required}
    nulls = dict.fromkeys(PredictionLogged.model_fields.keys() - required)
    assert read(PredictionLogged, json.dumps(least | nulls).encode(), ()) == PredictionLogged(**least)


@pytest.mark.parametrize("name", ["chatcmpl", "cmpl"])
def test_the_id_that_an_openai_client_sees_names_the_prediction(name: str) -> None:
    for own in (time_ordered_id(datetime.now(UTC)), derived_id("prediction", "key")):
        assert PREDICTION_ID.validate_python(f"{name}-{own}") == own
        assert PREDICTION_ID.validate_python(own) == own


OTHERS = [
    "chatcmpl-abc123",
    "chatcmpl-3f0d1c52-7a4e-4b19-9c6d-0e5a8b7c1d2f",
    "chat-0190c0de-7a4e-7b19-9c6d-0e5a8b7c1d2f",
]


@pytest.mark.parametrize("others", OTHERS)
def test_an_id_that_another_server_made_is_left_as_it_is(others: str) -> None:
    assert PREDICTION_ID.validate_python(others) == others


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1))
def test_an_id_derived_from_a_cause_is_its_uuid_of_version_5(cause: list[str]) -> None:
    assert derived_id(*cause) == str(uuid.uuid5(NAMESPACE, "\x1f".join(cause)))
    for count in range(3):
        ids = derived_ids(cause[:-1], [cause[-1].encode()] * count)
        assert ids == [derived_id(*cause).encode()] * count


def test_a_refusal_quotes_no_key_of_a_map() -> None:
    wrong = example(PredictionLogged) | {"attributes": {"jane@example.com": 5}}
    with pytest.raises(InvalidMessage, match=r"attributes\.\*") as refused:
        read(PredictionLogged, json.dumps(wrong).encode(), ())
    assert "jane" not in str(refused.value)


def test_a_list_of_more_items_than_a_record_holds_is_refused() -> None:
    wrong = example(PredictionLogged) | {
        "probabilities": {str(number): 0 for number in range(MOST_ITEMS + 1)}
    }
    with pytest.raises(InvalidMessage, match="probabilities"):
        read(PredictionLogged, json.dumps(wrong).encode(), ())
