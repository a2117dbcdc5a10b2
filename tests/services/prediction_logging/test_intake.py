"""The HTTP intake takes all or nothing, and says which line is wrong."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.prediction_logging.api import routes
from services.prediction_logging.settings import Settings
from shared.clickhouse import clickhouse_at
from shared.events import Event, FeedbackGiven, PredictionLogged, now
from shared.problems import answer_with_problems
from shared.projections import Workloads
from shared.subject_ids import subject_id
from tests.services.prediction_logging.conftest import NOON, SUBJECT_KEY, Logging, running, workload_added

USER = "ada.lovelace@example.org"
GIVEN: dict[str, Any] = {
    "workload": "tickets",
    "input": "Where is my money?",
    "answer": "refund",
    "confidence": 0.8,
    "adapter": "gpt-in-house",
}


def ndjson(*lines: dict[str, Any] | str) -> dict[str, Any]:
    published = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    return {"content": "\n".join(published), "headers": {"content-type": "application/x-ndjson"}}


async def post(intake: Logging, *given: dict[str, Any], **headers: str) -> httpx.Response:
    return await intake.http.post(
        "/predictions", json=given[0] if len(given) == 1 else given, headers=headers
    )


async def test_one_object_is_said_with_an_id_and_a_time_of_ours(intake: Logging) -> None:
    answer = await post(intake, GIVEN)
    assert answer.status_code == 202
    [event] = intake.published
    assert isinstance(event, PredictionLogged)
    assert answer.json() == {"ids": [event.prediction_id]}
    assert uuid.UUID(event.prediction_id).version == 7
    assert event.predicted_at > NOON


async def test_an_app_may_bring_its_own_id_and_time(intake: Logging) -> None:
    await post(intake, GIVEN | {"prediction_id": "order-7", "predicted_at": "2026-11-24T13:00:00+01:00"})
    [event] = intake.published
    assert isinstance(event, PredictionLogged)
    assert (event.prediction_id, event.predicted_at) == ("order-7", NOON)


async def test_an_array_and_lines_are_taken_alike(intake: Logging) -> None:
    assert (await post(intake, GIVEN, GIVEN)).status_code == 202
    answer = await intake.http.post("/predictions", **ndjson(GIVEN, "", GIVEN, ""))
    assert answer.status_code == 202
    assert len(answer.json()["ids"]) == 2
    assert len({event.event_id for event in intake.published}) == 4


async def test_the_same_idempotency_key_gives_the_same_ids(intake: Logging) -> None:
    answers = [
        (await post(intake, GIVEN, GIVEN, **{"idempotency-key": key})).json()["ids"]
        for key in ("a", "a", "b")
    ]
    assert answers[0] == answers[1]
    assert not set(answers[0]) & set(answers[2])
    assert len(set(answers[0])) == 2


async def test_one_wrong_line_refuses_all_and_every_wrong_line_is_named(intake: Logging) -> None:
    lines = ndjson(GIVEN, "{broken", GIVEN | {"answer": "no label"}, GIVEN | {"confidence": 1.5}, "7")
    answer = await intake.http.post("/predictions", **lines)
    assert answer.status_code == 422
    assert answer.json()["title"] == "Nothing was accepted"
    assert "4 of 5 lines are wrong" in answer.json()["detail"]
    assert [error["line"] for error in answer.json()["errors"]] == [2, 3, 4, 5]
    assert [error["field"] for error in answer.json()["errors"]] == ["line", "answer", "confidence", "line"]
    assert intake.published == []


@pytest.mark.parametrize(
    "change",
    [
        {"confidence": None},
        {"confidence": -0.1},
        {"input": ""},
        {"input": "x" * 65_537},
        {"predicted_at": "2026-11-24T13:00:00"},
        {"predicted_at": "9999-01-01T00:00:00Z"},
        {"prediction_id": "has spaces"},
        {"tokens_in": 2**40},
        {"confidense": 0.5},
        {"probabilities": {"no label": 1}},
        {"attributes": {"k": 1}},
        {"attributes": {"k": "v" * 1_000_000}},
    ],
)
async def test_a_wrong_field_is_a_422(intake: Logging, change: dict[str, Any]) -> None:
    answer = await post(intake, GIVEN | change)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert intake.published == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
async def test_no_number_that_is_none_gets_in(intake: Logging, number: str, kind: str) -> None:
    body = json.dumps(GIVEN).replace("0.8", number)
    answer = await intake.http.post("/predictions", content=body, headers={"content-type": kind})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"[", 400), (b'"\\ud800"', 400), (b"[" * 100_000, 400), (b"[]", 422), (b"7", 422)],
)
async def test_a_body_that_is_no_prediction_is_refused(intake: Logging, body: bytes, status: int) -> None:
    assert (await intake.http.post("/predictions", content=body)).status_code == status


async def test_an_unknown_workload_is_told_the_known_ones(intake: Logging) -> None:
    answer = await post(intake, GIVEN | {"workload": "mail"})
    assert answer.status_code == 404
    assert answer.json()["known_workloads"] == ["tickets"]


async def test_an_id_twice_in_one_request_is_refused(intake: Logging) -> None:
    answer = await post(intake, GIVEN | {"prediction_id": "p"}, GIVEN | {"prediction_id": "p"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"line": 2, "field": "prediction_id", "problem": "stands in line 1 already"}
    ]


async def test_a_body_past_the_limit_is_a_413(intake: Logging) -> None:
    assert (await intake.http.post("/predictions", content=b" " * (8 << 20 | 1))).status_code == 413
    assert (await intake.http.post("/predictions", **ndjson(*["{}"] * 10_001))).status_code == 413


async def test_feedback_is_said_and_told_its_id(intake: Logging) -> None:
    body = {"prediction_id": "p-1", "workload": "tickets", "thumb": "down", "comment": "no"}
    answer = await intake.http.post("/feedback", json=body, headers={"idempotency-key": "k"})
    assert answer.status_code == 202
    again = await intake.http.post("/feedback", json=body, headers={"idempotency-key": "k"})
    assert answer.json() == again.json()
    assert {event.event_id for event in intake.published} == {intake.published[0].event_id}
    assert isinstance(intake.published[0], FeedbackGiven)
    assert intake.published[0].is_negative


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"thumb": None}, 422),
        ({"thumb": "sideways"}, 422),
        ({"thumb": None, "comment": ""}, 422),
        ({"score": 2}, 422),
        ({"comment": "x" * 4001}, 422),
        ({"workload": "mail"}, 404),
    ],
)
async def test_feedback_that_says_nothing_or_too_much_is_refused(
    intake: Logging, change: dict[str, Any], status: int
) -> None:
    body = {"prediction_id": "p-1", "workload": "tickets", "thumb": "up"} | change
    assert (await intake.http.post("/feedback", json=body)).status_code == status
    assert intake.published == []


async def test_a_user_is_kept_as_the_same_opaque_id_by_predictions_and_feedback(
    intake: Logging, caplog: pytest.LogCaptureFixture
) -> None:
    named = {"user": USER, "group_id": "thread-7"}
    feedback = {"prediction_id": "p-1", "workload": "tickets", "thumb": "up"} | named
    assert (await post(intake, GIVEN | named)).status_code == 202
    assert (await intake.http.post("/predictions", **ndjson(GIVEN | named))).status_code == 202
    assert (await intake.http.post("/feedback", json=feedback)).status_code == 202
    for event in intake.published:
        assert isinstance(event, PredictionLogged | FeedbackGiven)
        assert (event.subject_id, event.group_id) == (subject_id(SUBJECT_KEY, USER), "thread-7")
        assert USER not in event.model_dump_json()
    assert USER not in caplog.text


@pytest.mark.parametrize("change", [{"user": [USER]}, {"group_id": USER}, {"subject_id": "s-1"}])
async def test_a_person_or_group_that_is_none_is_refused_without_being_quoted(
    intake: Logging, change: dict[str, Any]
) -> None:
    feedback = {"prediction_id": "p-1", "workload": "tickets", "thumb": "up"}
    for answer in (
        await post(intake, GIVEN | change),
        await intake.http.post("/feedback", json=feedback | change),
    ):
        assert answer.status_code == 422
        assert USER not in answer.text
    assert intake.published == []


async def test_without_a_key_a_user_is_dropped_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    intake = await running(clickhouse_at("http://127.0.0.1:9/none"), tmp_path, subject_key="")
    assert (await post(intake, GIVEN | {"user": USER})).status_code == 202
    [event] = intake.published
    assert isinstance(event, PredictionLogged)
    assert event.subject_id is None
    assert caplog.text.count("SUBJECT_KEY is not set") == 1
    await intake.http.aclose()


@pytest.fixture
async def silent() -> AsyncIterator[httpx.AsyncClient]:
    """An intake whose broker never answers."""

    async def publish(*_: Event) -> None:
        await asyncio.Event().wait()

    workloads = Workloads()
    workloads.apply(workload_added())
    app = FastAPI()
    answer_with_problems(app)
    app.include_router(routes(workloads, publish, now, Settings(publish_timeout_seconds=0.05), ""))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://logging") as http:
        yield http


async def test_without_kafka_an_app_is_told_to_send_the_same_again(silent: httpx.AsyncClient) -> None:
    answer = await silent.post("/predictions", json=GIVEN)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "Idempotency-Key" in answer.json()["detail"]
