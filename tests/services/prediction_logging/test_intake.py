"""The HTTP intake keeps the good lines of a request and says of each other one what is wrong."""

from __future__ import annotations

import gzip
import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.clickhouse import clickhouse_at
from shared.events import FeedbackGiven, PredictionLogged
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


def as_json(body: str | bytes) -> dict[str, Any]:
    return {"content": body, "headers": {"content-type": "application/json"}}


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


WRONG = (GIVEN, "{broken", GIVEN | {"answer": "no label"}, GIVEN | {"confidence": 1.5}, "7", GIVEN)


async def test_good_lines_are_kept_and_every_wrong_line_is_named(intake: Logging) -> None:
    answer = await intake.http.post("/predictions", **ndjson(*WRONG))
    assert answer.status_code == 207
    said = answer.json()
    assert (said["accepted"], said["refused"], len(intake.published)) == (2, 4, 2)
    assert [result["line"] for result in said["results"]] == [1, 2, 3, 4, 5, 6]
    ids = [result.get("id") for result in said["results"]]
    assert ids[1:5] == [None] * 4
    assert [ids[0], ids[5]] == [
        event.prediction_id for event in intake.published if isinstance(event, PredictionLogged)
    ]
    fields = [result["errors"][0]["field"] for result in said["results"][1:5]]
    assert fields == ["line", "answer", "confidence", "line"]


async def test_all_or_nothing_takes_nothing_when_one_line_is_wrong(intake: Logging) -> None:
    answer = await intake.http.post("/predictions?all_or_nothing=true", **ndjson(*WRONG))
    assert answer.status_code == 422
    assert answer.json()["title"] == "Nothing was accepted"
    assert "4 of 6 lines are wrong" in answer.json()["detail"]
    assert [error["line"] for error in answer.json()["errors"]] == [2, 3, 4, 5]
    assert intake.published == []


async def test_what_all_or_nothing_is_must_be_clear(intake: Logging) -> None:
    for said, status in {"off": 207, "0": 207, "": 422, "maybe": 422, "t": 422}.items():
        answer = await intake.http.post(f"/predictions?all_or_nothing={said}", **ndjson(*WRONG))
        assert answer.status_code == status, said
        if status == 422:
            assert answer.json()["title"] == "Invalid query"


async def test_elements_of_an_array_are_judged_one_by_one(intake: Logging) -> None:
    body = json.dumps([GIVEN, GIVEN | {"confidence": "high"}, GIVEN | {"workload": "mail"}, 7, None])
    answer = await intake.http.post("/predictions", **as_json(f" {body}\r\n"))
    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [result["errors"][0]["field"] for result in results[1:]] == [
        "confidence",
        "workload",
        "line",
        "line",
    ]
    assert results[0]["id"]
    assert len(intake.published) == 1


async def test_a_line_of_an_unknown_workload_refuses_no_other(intake: Logging) -> None:
    answer = await post(intake, GIVEN, GIVEN | {"workload": "mail"})
    assert answer.status_code == 207
    assert answer.json()["results"][1]["errors"] == [
        {"field": "workload", "problem": "its workload is not known"}
    ]


async def test_an_event_says_the_revision_it_was_made_under(intake: Logging) -> None:
    await intake.apply(workload_added(labels=("refund", "outage"), revision=4))
    await post(intake, GIVEN)
    assert (await post(intake, GIVEN | {"answer": "other"})).status_code == 422
    [event] = intake.published
    assert isinstance(event, PredictionLogged)
    assert event.revision == 4


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/jsonlines",
        "application/json-lines; charset=utf-8",
        "Application/X-JSONL",
        "text/x-ndjson",
    ],
)
async def test_lines_come_under_all_their_names_with_any_line_ends(intake: Logging, kind: str) -> None:
    line = json.dumps(GIVEN)
    body = f"\ufeff{line}\r\n\r\n  \n{line}\n{line}"
    answer = await intake.http.post("/predictions", content=body, headers={"content-type": kind})
    assert (answer.status_code, len(answer.json()["ids"])) == (202, 3)


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=UTF-8", "application/vnd.app+json"]
)
async def test_json_comes_under_all_its_names(intake: Logging, kind: str) -> None:
    body = f"\ufeff{json.dumps(GIVEN)}"
    answer = await intake.http.post("/predictions", content=body, headers={"content-type": kind})
    assert answer.status_code == 202


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "text/json",
        "application/xml",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin1",
    ],
)
async def test_no_media_type_or_another_one_or_charset_is_a_415_that_says_what_to_send(
    intake: Logging, kind: str
) -> None:
    for path in ("/predictions", "/feedback"):
        headers = {"content-type": kind} if kind else {}
        answer = await intake.http.post(path, content=json.dumps(GIVEN), headers=headers)
        assert answer.status_code == 415
        assert "application/json" in answer.text or "UTF-8" in answer.text


async def test_a_gzip_body_is_inflated(intake: Logging) -> None:
    lines = "\n".join([json.dumps(GIVEN)] * 50).encode()
    for body in (gzip.compress(lines), gzip.compress(lines[:777]) + gzip.compress(lines[777:])):
        answer = await intake.http.post(
            "/predictions",
            content=body,
            headers={"content-type": "application/x-ndjson", "content-encoding": "gzip"},
        )
        assert (answer.status_code, len(answer.json()["ids"])) == (202, 50)


async def test_sizes_are_bytes(intake: Logging) -> None:
    fits, too_long = {"attributes": {"k": "€" * 290_000}}, {"attributes": {"k": "€" * 310_000}}
    assert (await post(intake, GIVEN | fits)).status_code == 202
    answer = await post(intake, GIVEN | too_long)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"line": 1, "field": "line", "problem": "is longer than 900000 bytes"}]


async def test_what_a_float32_rounds_and_what_is_null_is_taken(intake: Logging) -> None:
    nothing = dict.fromkeys(
        ("prediction_id", "predicted_at", "probabilities", "attributes", "latency_ms", "user")
    )
    for change in (
        {"confidence": 1.0000001},
        {"probabilities": {"refund": 1.0000001, "other": -1e-9}},
        nothing,
    ):
        assert (await post(intake, GIVEN | change)).status_code == 202
        event = intake.published[-1]
        assert isinstance(event, PredictionLogged)
        assert event.confidence in (0.8, 1.0)
        assert event.probabilities in ({}, {"refund": 1.0, "other": 0.0})


async def test_of_a_key_said_twice_the_last_value_holds(intake: Logging) -> None:
    body = json.dumps(GIVEN)[:-1] + ', "confidence": 0.25}'
    for again in (body, body.replace("0.25", '"0.25"')):  # the second is read by the model
        assert (await intake.http.post("/predictions", **as_json(again))).status_code == 202
        event = intake.published[-1]
        assert isinstance(event, PredictionLogged)
        assert event.confidence == 0.25


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
    assert (await intake.http.post("/predictions", **as_json(body))).status_code == status


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
@pytest.mark.parametrize("around", ["%s", "[%s]"])
async def test_a_number_of_any_length_is_refused(intake: Logging, around: str, kind: str) -> None:
    """Python itself reads none of more than 4300 digits."""
    body = around % json.dumps(GIVEN | {"tokens_in": 8}).replace("8}", "9" * 5000 + "}")
    answer = await intake.http.post("/predictions", content=body, headers={"content-type": kind})
    assert answer.status_code in (400, 422), answer.text
    assert intake.published == []


async def test_an_unknown_workload_is_told_the_known_ones(intake: Logging) -> None:
    answer = await post(intake, GIVEN | {"workload": "mail"})
    assert answer.status_code == 404
    assert answer.json()["known_workloads"] == ["tickets"]


async def test_an_id_twice_in_one_request_is_one_prediction_or_an_error(intake: Logging) -> None:
    named = GIVEN | {"prediction_id": "p"}
    answer = await post(intake, named, named)
    assert (answer.status_code, answer.json()["ids"], len(intake.published)) == (202, ["p", "p"], 1)
    other = GIVEN | {"prediction_id": "q"}
    answer = await post(intake, other, other | {"answer": "outage"})
    assert answer.json()["results"][1]["errors"] == [
        {"field": "prediction_id", "problem": "stands in line 1 with other content"}
    ]


async def test_an_id_comes_again_with_the_same_content_or_is_a_conflict(intake: Logging) -> None:
    await intake.apply(workload_added("mail"))
    named = GIVEN | {"prediction_id": "p"}
    for again in (named, named, named | {"latency_ms": 5}, named | {"workload": "mail", "answer": "outage"}):
        assert (await post(intake, again)).status_code == 202
    for change in ({"input": "?"}, {"answer": "outage"}, {"confidence": 0.7}, {"adapter": "other"}):
        answer = await post(intake, named | change)
        assert answer.status_code == 409
        assert answer.json()["errors"][0]["field"] == "prediction_id"
    answer = await post(intake, named | {"answer": "outage"}, GIVEN)
    assert answer.status_code == 207
    assert "other content" in answer.json()["results"][0]["errors"][0]["problem"]


async def test_an_id_of_ours_that_comes_again_with_other_content_is_a_conflict(intake: Logging) -> None:
    [made] = (await post(intake, GIVEN)).json()["ids"]
    assert (await post(intake, GIVEN | {"prediction_id": made})).status_code == 202
    assert (await post(intake, GIVEN | {"prediction_id": made, "answer": "outage"})).status_code == 409


async def test_feedback_is_one_thing_under_one_id(intake: Logging) -> None:
    given = {"feedback_id": "f", "prediction_id": "p-1", "workload": "tickets", "thumb": "down"}
    statuses = [
        (await intake.http.post("/feedback", json=given | change)).status_code
        for change in ({}, {}, {"thumb": "up"}, {"feedback_id": "g", "thumb": "up"})
    ]
    assert statuses == [202, 202, 409, 202]


async def test_an_idempotency_key_with_another_body_is_refused(intake: Logging) -> None:
    key = {"idempotency-key": '"order-7"'}
    first = await post(intake, GIVEN, **key)
    assert (await post(intake, GIVEN, **{"idempotency-key": "order-7"})).json() == first.json()
    answer = await post(intake, GIVEN | {"answer": "outage"}, **key)
    assert (answer.status_code, answer.json()["title"]) == (422, "Idempotency-Key used before")
    feedback = {"prediction_id": "p-1", "workload": "tickets", "thumb": "up"}
    answer = await intake.http.post("/feedback", json=feedback, headers=key)
    assert answer.status_code == 202
    assert answer.json() != first.json()
    assert len(intake.published) == 3


async def test_a_key_whose_request_was_refused_may_come_with_the_corrected_body(intake: Logging) -> None:
    key = {"idempotency-key": "k"}
    assert (await post(intake, GIVEN | {"answer": "no label"}, **key)).status_code == 422
    assert (await post(intake, GIVEN, **key)).status_code == 202


async def test_a_key_gives_other_ids_in_another_workload_and_after_a_restart_the_same(
    intake: Logging, tmp_path: Path
) -> None:
    await intake.apply(workload_added("mail"))
    [first] = (await post(intake, GIVEN, **{"idempotency-key": "k"})).json()["ids"]
    restarted = await running(clickhouse_at("http://127.0.0.1:9/none"), tmp_path / "restarted")
    await restarted.apply(workload_added("mail"))
    assert (await post(restarted, GIVEN, **{"idempotency-key": "k"})).json()["ids"] == [first]
    restarted = await running(clickhouse_at("http://127.0.0.1:9/none"), tmp_path / "again")
    await restarted.apply(workload_added("mail"))
    in_mail = await post(restarted, GIVEN | {"workload": "mail"}, **{"idempotency-key": "k"})
    assert in_mail.json()["ids"] != [first]


@pytest.mark.parametrize("key", ["", '""', "x" * 201])
async def test_a_key_that_is_none_is_refused(intake: Logging, key: str) -> None:
    assert (await post(intake, GIVEN, **{"idempotency-key": key})).status_code == 400


async def test_feedback_takes_the_id_that_an_openai_client_saw(intake: Logging) -> None:
    [made] = (await post(intake, GIVEN)).json()["ids"]
    for seen in (f"chatcmpl-{made}", f"cmpl-{made}", made):
        body = {"prediction_id": seen, "workload": "tickets", "thumb": "down"}
        assert (await intake.http.post("/feedback", json=body)).status_code == 202
        event = intake.published[-1]
        assert isinstance(event, FeedbackGiven)
        assert event.prediction_id == made


async def test_feedback_comes_in_lines_too(intake: Logging) -> None:
    good = {"prediction_id": "p-1", "workload": "tickets", "thumb": "down"}
    answer = await intake.http.post("/feedback", **ndjson(good, good | {"score": 9}, good))
    assert (answer.status_code, answer.json()["accepted"], answer.json()["refused"]) == (207, 2, 1)


async def test_a_body_past_the_limit_is_a_413(intake: Logging) -> None:
    assert (await intake.http.post("/predictions", **as_json(b" " * (8 << 20 | 1)))).status_code == 413
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
    assert caplog.text.count("carry no subject_id") == 1
    assert caplog.text.count("audited and reviewed twice") == 1
    await intake.http.aclose()
