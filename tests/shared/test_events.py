"""Events travel whole, keep their contracts, and derive their ids from causes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import (
    EVENTS,
    DatasetRefused,
    Event,
    FeedbackGiven,
    InvalidMessage,
    PredictionFlagged,
    PredictionLogged,
    read,
    record,
)
from shared.events.envelope import event_type
from shared.topics import topics_of

EXAMPLES = Path(__file__).parent.parent.parent / "shared" / "contracts" / "examples"
BY_TOPIC = {kind.topic.name: kind for kind in EVENTS}


def logged(**changes: object) -> PredictionLogged:
    fields: dict[str, object] = {
        "prediction_id": "p1",
        "workload": "tickets",
        "predicted_at": datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC),
        "input": "Where is my card?",
        "answer": "card_arrival",
        "confidence": 0.5,
        "adapter": "tickets-v1",
    }
    return PredictionLogged.model_validate(fields | changes)


def headers(event: Event) -> list[tuple[str, bytes | str | None]]:
    return [(name, value.encode()) for name, value in record(event, "test").headers.items()]


@given(st.text(min_size=1, max_size=200).filter(lambda t: not any("\ud800" <= c <= "\udfff" for c in t)))
def test_an_event_comes_back_as_it_was_published(text: str) -> None:
    event = logged(input=text)
    assert read(PredictionLogged, record(event, "test").value, headers(event)) == event


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.glob("*/*.json")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_every_example_ever_kept_still_parses(path: Path) -> None:
    kind = BY_TOPIC[path.parent.name]
    assert read(kind, path.read_bytes(), ()).event_id


def test_every_event_has_a_kept_example() -> None:
    assert {path.parent.name for path in EXAMPLES.glob("*/*.json")} == set(BY_TOPIC)


def test_a_structured_cloudevent_is_read_like_a_binary_one() -> None:
    event = logged()
    body = {
        "specversion": "1.0",
        "type": event_type(event.topic),
        "data": json.loads(event.model_dump_json()),
    }
    structured = [("content-type", b"application/cloudevents+json; charset=utf-8")]
    assert read(PredictionLogged, json.dumps(body).encode(), structured) == event


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no value"),
        (b"\xff\xfe", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[]", "valid dictionary"),
        (b"{}", "prediction_id"),
    ],
)
def test_what_is_no_event_is_refused_with_a_reason(value: bytes | None, reason: str) -> None:
    with pytest.raises(InvalidMessage, match=reason):
        read(PredictionLogged, value, ())


@pytest.mark.parametrize(
    "changes",
    [
        {"confidence": float("nan")},
        {"confidence": 1.01},
        {"input": ""},
        {"input": "x" * (64 * 1024 + 1)},
        {"input": "\ud800"},
        {"prediction_id": "no spaces"},
        {"predicted_at": "2026-11-24T12:00:00"},
        {"workload": "Not-Lower"},
    ],
)
def test_values_outside_the_contract_are_refused(changes: dict[str, object]) -> None:
    payload = json.loads(logged().model_dump_json()) | changes
    with pytest.raises(InvalidMessage):
        read(PredictionLogged, json.dumps(payload).encode(), ())


def test_a_refusal_quotes_nothing_of_the_payload() -> None:
    payload = json.loads(logged().model_dump_json()) | {"confidence": "jane@example.com", "input": 5}
    with pytest.raises(InvalidMessage) as refused:
        read(PredictionLogged, json.dumps(payload).encode(), ())
    assert "jane" not in str(refused.value)


def test_a_record_of_another_type_is_refused() -> None:
    event = logged()
    with pytest.raises(InvalidMessage, match="ce_type"):
        read(PredictionFlagged, record(event, "test").value, headers(event))


def test_readers_ignore_fields_they_do_not_know() -> None:
    payload = json.loads(logged().model_dump_json()) | {"added_in_2030": 1}
    assert read(PredictionLogged, json.dumps(payload).encode(), ()) == logged()


def test_the_same_cause_gives_the_same_id_and_another_cause_another() -> None:
    assert logged().event_id == logged(answer="other").event_id
    assert logged().event_id != logged(prediction_id="p2").event_id
    assert logged().event_id != logged(workload="mail").event_id


@pytest.mark.parametrize(("writer", "credited"), [("gateway", "tickets-v1"), ("app", ""), (None, "")])
def test_what_an_app_says_is_no_evidence_of_an_adapter(writer: str | None, credited: str) -> None:
    assert logged(written_by=writer).credited == credited


def test_feedback_must_say_something() -> None:
    with pytest.raises(ValueError, match="thumb, score, comment"):
        FeedbackGiven(feedback_id="f1", prediction_id="p1", workload="tickets", given_at=datetime.now(UTC))


def test_every_topic_has_its_dead_letters_and_state_is_kept_for_ever() -> None:
    names = {topic.name for topic in topics_of(EVENTS)}
    assert all(f"{name}-dead-letter" in names for name in BY_TOPIC)
    assert {kind.topic.name for kind in EVENTS if kind.topic.retention is None} == {
        kind.topic.name for kind in EVENTS if kind.is_state
    }


@pytest.mark.parametrize("name", ["cut", "cutoff"])
def test_a_cutoff_is_read_under_its_old_name_and_written_under_both(name: str) -> None:
    payload = {
        "workload": "tickets",
        "cycle_id": "c1",
        "reason": "no rows",
        "refused_at": "2026-11-26T01:00:00Z",
    }
    read_back = read(DatasetRefused, json.dumps(payload | {name: "2026-11-25T01:00:00Z"}).encode(), ())
    written = json.loads(record(read_back, "test").value)
    assert written["cut"] == written["cutoff"] == "2026-11-25T01:00:00Z"
