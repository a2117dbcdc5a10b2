"""What is read and made all at once is what one line after the other would be; nobody's name goes along."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.prediction_logging.body_lines import NotJson
from services.prediction_logging.intake import Judged, LineError, judged
from services.prediction_logging.kinds import Predictions
from services.prediction_logging.remembered import Remembered
from services.prediction_logging.request_keys import RequestKey
from shared.events import PredictionLogged, read
from shared.events.envelope import Record
from shared.projections import Workloads
from tests.services.prediction_logging.conftest import NOON, workload_added
from tests.services.prediction_logging.test_given import RIGHT, SEEN, changes

WHOLE = RIGHT | {"prediction_id": "p-1", "predicted_at": "2026-11-24T13:00:00.123Z"}
MOST = 5


class OneByOne(Predictions):
    """As if nothing could be told of many at once."""

    def events(self, *_: object, **__: object) -> None:
        return None


def kinds() -> tuple[Predictions, Predictions]:
    workloads = Workloads()
    workloads.apply(workload_added(labels=("refund", "tickets")))
    workloads.apply(workload_added(name="other", labels=("refund", "late"), revision=7))

    def subject_of(user: str | None) -> str | None:
        return f"s-{len(user)}" if user else None

    return Predictions(workloads, subject_of), OneByOne(workloads, subject_of)


def both(body: bytes, is_lines: bool) -> tuple[Judged | None, Judged]:
    quick, slow = kinds()
    key = RequestKey("k", "local", None)
    at_once = quick.events(body, MOST, key, NOON, is_lines=is_lines)
    try:
        one_by_one = judged(body, slow, key, NOON, Remembered(100, 60), is_lines=is_lines, most=MOST)
    except NotJson as error:
        return at_once, Judged(errors=[LineError(1, "line", str(error))])
    return at_once, one_by_one


def as_told(found: Judged) -> tuple[Any, ...]:
    """All that is told of what is taken, its records as everybody reads them."""
    return list(found.lines), found.ids, found.contents, list(map(as_read, found.records))


def as_read(record: Record) -> tuple[Any, ...]:
    headers = {**record.headers, "ce_time": datetime.fromisoformat(record.headers["ce_time"])}
    value = read(PredictionLogged, record.value, list(record.headers.items()))
    return record.topic, record.key, headers, value


@settings(max_examples=400)
@given(st.lists(changes, min_size=1, max_size=4), st.booleans(), st.booleans())
def test_told_at_once_it_is_what_one_by_one_it_would_be(
    sent: list[dict[str, Any]], is_lines: bool, is_ascii: bool
) -> None:
    lines = [json.dumps(RIGHT | one, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass") for one in sent]
    body = b"\n".join(lines) if is_lines else b"[%b]" % b",".join(lines)
    at_once, one_by_one = both(body, is_lines)
    if at_once is not None and len(at_once.contents) == len(at_once.ids):
        assert not one_by_one.errors
        assert as_told(at_once) == as_told(one_by_one)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"prediction_id": None},
        {"predicted_at": None},
        {"user": "é"},
        {"workload": "other"},
        {"probabilities": {"refund": 0.8, "tickets": 0.2}, "latency_ms": 12, "tokens_in": 5},
        {"attributes": {"a": "b"}, "group_id": "g", "confidence": 1},
        {"predicted_at": "2026-11-24T13:00:00+00:00"},
        {"predicted_at": "2026-11-24T13:00:00.123456+01:00"},
    ],
)
@pytest.mark.parametrize("is_lines", [True, False])
def test_what_apps_usually_send_is_told_at_once(change: dict[str, Any], is_lines: bool) -> None:
    changed = {name: value for name, value in (WHOLE | change).items() if value is not None}
    lines = [json.dumps(WHOLE | {"prediction_id": "p-0"}), json.dumps(changed)]
    body = ("\n".join(lines) if is_lines else f"[{','.join(lines)}]").encode()
    at_once, one_by_one = both(body, is_lines)
    assert at_once is not None
    assert as_told(at_once) == as_told(one_by_one)


@pytest.mark.parametrize(
    "line",
    [
        json.dumps(WHOLE | {"user": "Eve Adams"}),
        json.dumps(WHOLE)[:-1] + ', "us\\u0065r": "Eve Adams"}',
        json.dumps(WHOLE)[:-1] + ', "user": "Eve Adams", "user": null}',
        json.dumps(WHOLE)[:-1] + ', "user": null, "user": "Eve Adams"}',
        json.dumps(WHOLE | {"prediction_id": f"chatcmpl-{SEEN}", "user": "Eve Adams"}),
    ],
)
def test_a_users_name_goes_no_further_however_it_is_written(line: str) -> None:
    at_once, one_by_one = both(line.encode() + b"\n", is_lines=True)
    for found in (at_once or Judged(), one_by_one):
        for record in found.records:
            assert b"Adams" not in record.value


@pytest.mark.parametrize(
    "line",
    [
        json.dumps(WHOLE | {"answer": "no label"}),
        json.dumps(WHOLE | {"workload": "unknown"}),
        json.dumps(WHOLE | {"revision": 1}),
        json.dumps(WHOLE | {"subject_id": "s"}),
        json.dumps(WHOLE | {"written_by": "gateway"}),
        json.dumps(WHOLE | {"prediction_id": "a b"}),
        json.dumps(WHOLE | {"predicted_at": "2026-02-30T13:00:00.123Z"}),
        json.dumps(WHOLE | {"input": "é" * 40_000}),
        "",
        "{}",
    ],
)
def test_what_may_be_wrong_is_judged_line_by_line(line: str) -> None:
    at_once, _ = both(f"{json.dumps(WHOLE)}\n{line}\n".encode(), is_lines=True)
    assert at_once is None


def test_a_text_in_an_array_that_is_long_in_bytes_alone_is_refused() -> None:
    long = WHOLE | {"input": "é" * 40_000}
    elements = [json.dumps(long, ensure_ascii=is_ascii) for is_ascii in (True, False)]
    for element in elements:
        at_once, one_by_one = both(f"[{element}]".encode(), is_lines=False)
        assert at_once is None
        assert not one_by_one.ids


def test_more_than_may_be_is_not_told_at_once() -> None:
    lines = [json.dumps(WHOLE | {"prediction_id": f"p-{number}"}) for number in range(MOST + 1)]
    quick, _ = kinds()
    key = RequestKey("k", "local", None)
    for count, is_taken in ((MOST, True), (MOST + 1, False)):
        body = "\n".join(lines[:count]).encode()
        assert (quick.events(body, MOST, key, NOON, is_lines=True) is not None) is is_taken
        array = f"[{','.join(lines[:count])}]".encode()
        assert (quick.events(array, MOST, key, NOON, is_lines=False) is not None) is is_taken
