"""An app hears 202 when Kafka or the disk has its events, and else how to send them again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared.events import WorkloadAdded, record
from shared.topics import declare, topics_of
from tests.servers.clickhouse import execute
from tests.servers.kafka import EmbeddedKafka
from tests.servers.services import ServiceProcess
from tests.shared.consuming import added, produce

GIVEN: dict[str, Any] = {
    "workload": "tickets",
    "input": "Where is my money?",
    "answer": "refund",
    "confidence": 0.8,
    "adapter": "gpt-in-house",
}


@dataclass
class Installation:
    """An intake with a broker of its own, and tables."""

    kafka: EmbeddedKafka
    clickhouse: str
    process: ServiceProcess

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Kafka keeps its connections and answers nothing."""
        self.kafka.freeze()
        try:
            yield
        finally:
            self.kafka.thaw()

    def post(self, given: Any, seconds: float = 20, **headers: str) -> httpx.Response:
        url = f"{self.process.url}/predictions"
        return httpx.post(url, json=given, headers=headers, timeout=seconds, trust_env=False)

    def accepted(self, given: Any, **headers: str) -> list[str]:
        """The ids, once it is taken: a client that goes on sending the same."""
        for _ in range(20):
            answer = self.post(given, 20, **headers)
            if answer.status_code == 202:
                return list(answer.json()["ids"])
            assert answer.status_code == 503, answer.text
        raise TimeoutError(self.process.log[-3000:])

    def visible(self, adapter: str, count: int) -> Counter[str]:
        """How often each prediction of this adapter shows, once `count` of them do."""
        database, until = self.clickhouse.rpartition("/")[2], time.monotonic() + 60
        query = f"SELECT prediction_id, count() FROM {database}.predictions_v1 WHERE adapter = '{adapter}'"
        while True:
            said = execute(self.clickhouse, f"{query} GROUP BY 1 FORMAT TSV")
            found = Counter({row.split("\t")[0]: int(row.split("\t")[1]) for row in said.splitlines()})
            if found.total() >= count or time.monotonic() > until:
                return found
            time.sleep(0.1)  # another process: there is nothing to await


@contextmanager
def installed(url: str, folder: Path, **settings: str) -> Iterator[Installation]:
    database = f"test_{uuid4().hex}"
    execute(url, f"CREATE DATABASE {database}")
    broker, clickhouse = EmbeddedKafka(folder / "kafka"), f"{url.rpartition('/')[0]}/{database}"
    broker.start()
    declare(topics_of([WorkloadAdded]), broker.address, 1, 30)
    event = record(added("tickets"), "workloads")
    produce(broker.address, event.topic, {0: [event.value]})
    environment = {"KAFKA_BOOTSTRAP_SERVERS": broker.address, "CLICKHOUSE_URL": clickhouse}
    environment |= {f"PREDICTION_LOGGING_{name.upper()}": value for name, value in settings.items()}
    process = ServiceProcess(["prediction_logging"], folder / "intake", environment)
    process.start()
    try:
        process.await_status("/health/ready", 200)
        yield Installation(broker, clickhouse, process)
    finally:
        process.kill()
        broker.kill()
        execute(url, f"DROP DATABASE {database} SYNC")


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
