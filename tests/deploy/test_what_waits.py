"""What waits is said in words that a person can act on, and nothing is said while all goes well."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from deploy.status import Waits, print_what_waits, status_as_json
from deploy.waiting_client import Consumer, DeadLetter, DeadLetterCount, DeadLetters, Narrowed, SetApart
from deploy.what_waits import LETTERS, letter_rows, letters_in_words, span, waiting

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def consumer(oldest: float | None = None, *apart: SetApart) -> Consumer:
    return Consumer(
        service="prediction_logging", topic="prediction-logged-v1", behind=1200, oldest_seconds=oldest,
        set_apart=list(apart),
    )  # fmt: skip


def letter(**changes: object) -> DeadLetter:
    said = {
        "id": "0c1d2e3f-aaaa", "topic": "feedback-given-v1", "partition": 2, "offset": 41, "at": NOON,
        "bytes": 312, "service": "prediction_logging", "reason": "its workload is not known",
        "is_whole": True,
    }  # fmt: skip
    return DeadLetter.model_validate(said | changes)


def printed(waits: Waits) -> str:
    output = io.StringIO()
    print_what_waits(Console(file=output), waits)
    return output.getvalue()


NONE = DeadLetters(total=0, counts=[], letters=[])


def test_while_all_goes_well_nothing_is_said() -> None:
    assert printed(Waits([consumer(), consumer(3.0)], NONE)) == ""


def test_what_is_behind_for_long_or_stands_still_is_said_with_its_reason() -> None:
    apart = SetApart(
        partition=4, since=datetime.now(UTC) - timedelta(minutes=7), why="ClickHouse: OperationalError"
    )
    said = printed(Waits([consumer(600.0), consumer(2.0, apart), consumer(1.0)], NONE))
    assert len(said.strip().splitlines()) == 3
    assert "10 min" in said
    assert "partition 4 for 7 min: ClickHouse: OperationalError" in said


def test_dead_letters_are_counted_by_where_they_came_from_with_the_command_that_lists_them() -> None:
    found = DeadLetters(
        total=3,
        counts=[DeadLetterCount(topic="feedback-given-v1", service="prediction_logging", count=3)],
        letters=[],
    )
    said = printed(Waits([], found))
    assert said.startswith("3 dead letters: 3 of feedback-given-v1 by prediction_logging.")
    assert "tuneloop dead-letters list" in said
    assert "No dead letters" in letters_in_words(NONE)


def test_without_kafka_the_status_says_so_and_its_json_has_null() -> None:
    waits = Waits(None, None, "Kafka: no answer. Try again in a moment.")
    assert printed(waits) == "Not all that waits is known. Kafka: no answer. Try again in a moment.\n"
    document = json.loads(status_as_json("http://here", [], waits))
    assert (document["consumers"], document["dead_letters"]) == (None, None)


def test_a_row_has_the_place_the_size_and_whether_it_was_cut() -> None:
    now = NOON + timedelta(hours=5)
    row = dict(zip(LETTERS, letter_rows([letter(bytes=900_000, is_whole=False)], now)[0], strict=True))
    assert row["id"] == "0c1d2e3f"
    assert row["set aside"] == "5 h ago"
    assert row["came from"] == "feedback-given-v1/2@41"
    assert row["size"] == "900 kB, cut"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (30 * 86400, "30 d")]
)
def test_a_span_is_said_in_one_unit(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_waiting_is_what_is_a_minute_old() -> None:
    assert waiting([consumer(59.0)]) == []
    assert len(waiting([consumer(60.0)])) == 1


def test_narrowed_says_only_what_was_given() -> None:
    assert Narrowed().said() == {}
    for since in (NOON, NOON.replace(tzinfo=None)):
        assert Narrowed("t", None, since).said() == {"topic": "t", "since": "2026-01-01T12:00:00+00:00"}
