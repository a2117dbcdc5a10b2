"""An app hears 202 when Kafka or the disk has its events, and else how to send them again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.services.prediction_logging.installation import Installation, installed

GIVEN: dict[str, Any] = {
    "workload": "tickets",
    "input": "Where is my money?",
    "answer": "refund",
    "confidence": 0.8,
    "adapter": "gpt-in-house",
}


@pytest.fixture(scope="module")
def installation(clickhouse_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("acceptance")
    with installed(clickhouse_url, folder, publish_timeout_seconds="0.5") as installation:
        yield installation


def test_while_kafka_stalls_the_disk_keeps_what_is_sent_and_nothing_counts_twice(
    installation: Installation,
) -> None:
    given = GIVEN | {"adapter": "stalls"}
    ids = installation.accepted(given)
    with installation.stalled():
        began = time.monotonic()
        for _ in range(10):
            answer = installation.post([given] * 5)
            assert answer.status_code == 202, answer.text
            ids += answer.json()["ids"]
        assert time.monotonic() - began < 5, "only the first waits for Kafka"
    assert installation.visible("stalls", 51) == Counter(ids)
    began = time.monotonic()
    ids += installation.post(given).json()["ids"]
    assert time.monotonic() - began < 0.5, "Kafka is back"
    assert installation.visible("stalls", 52) == Counter(ids)


def test_who_hung_up_before_the_answer_and_sends_the_same_again_is_counted_once(
    installation: Installation,
) -> None:
    given = GIVEN | {"adapter": "hangs up"}
    with installation.stalled():
        with pytest.raises(httpx.ReadTimeout):
            installation.post(given, seconds=0.2)
        time.sleep(1)  # until the intake has noticed: the disk has it then
    [made] = installation.accepted(given)
    [other] = installation.accepted(given)
    assert installation.visible("hangs up", 2) == Counter([made, other])


def test_what_the_disk_keeps_outlives_the_process(installation: Installation) -> None:
    with installation.stalled():
        ids = installation.post([GIVEN | {"adapter": "outlives"}] * 20).json()["ids"]
        installation.process.kill()
    installation.process.start()
    assert installation.visible("outlives", 20) == Counter(ids)


def test_a_refusal_names_the_ids_that_the_same_body_has_when_it_comes_again(
    clickhouse_url: str, tmp_path: Path
) -> None:
    with installed(clickhouse_url, tmp_path, publish_timeout_seconds="0.5", outbox_most_bytes="1") as full:
        two, one = [GIVEN, GIVEN | {"answer": "order"}], GIVEN
        with full.stalled():
            refused, again = full.post(two), full.post(two)
            keyed = full.post(one, 20, **{"idempotency-key": "mine"})
        for answer in (refused, again, keyed):
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
        assert keyed.json()["idempotency_key"] == "mine"
        ids = refused.json()["ids"]
        assert again.json()["ids"] == ids
        assert full.accepted(two) == ids
        assert full.accepted(two, **{"idempotency-key": refused.json()["idempotency_key"]}) == ids
        assert full.accepted(one, **{"idempotency-key": "mine"}) == keyed.json()["ids"]
        third = full.accepted(two)
        assert not set(third) & set(ids)
        assert full.visible("gpt-in-house", 5) == Counter([*ids, *third, *keyed.json()["ids"]])
