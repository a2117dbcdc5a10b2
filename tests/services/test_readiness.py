"""A process says when it cannot be asked, what is missing since when, and when all is well again."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from services.background import WELL_SECONDS, failures_in_a_row, until_it_answers
from services.ending import END_SECONDS
from services.readiness import GONE, Readiness
from services.stack import tables_may_be_away
from shared.backoff import SaysSeldom
from tests.servers.clickhouse import start_clickhouse, stop, wait_until_ready
from tests.servers.kafka import EmbeddedKafka
from tests.servers.model import free_port
from tests.servers.services import ServiceProcess

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_while_it_starts_it_says_what_it_waits_for_and_since_when() -> None:
    readiness = Readiness(answers_at_once=False, now=NOON)
    readiness.waits_for("Kafka", "not asked", after(1))
    readiness.waits_for("Kafka", "connection refused", after(9))
    (missing,) = readiness.missing()
    assert (missing.what, missing.since, missing.why) == ("Kafka", after(1), "connection refused")
    assert not readiness.is_ready(after(9))
    readiness.started()
    assert readiness.is_ready(after(9))
    assert readiness.missing() == []


def test_what_answers_from_what_it_kept_is_ready_while_it_starts() -> None:
    readiness = Readiness(answers_at_once=True, now=NOON)
    readiness.waits_for("Kafka", "connection refused", NOON)
    assert readiness.is_ready(NOON)
    assert readiness.missing() == []


def test_a_short_outage_is_listed_and_a_long_one_makes_it_unready_until_it_ends() -> None:
    readiness = Readiness(answers_at_once=False, now=NOON)
    readiness.started()
    readiness.saw("ClickHouse", "refused", NOON)
    assert readiness.is_ready(NOON)
    assert [one.what for one in readiness.missing()] == ["ClickHouse"]
    readiness.saw("ClickHouse", "no answer", NOON + GONE)
    assert not readiness.is_ready(NOON + GONE)
    assert readiness.missing()[0].since == NOON
    readiness.saw("ClickHouse", None, after(60))
    assert readiness.is_ready(after(60))


def test_what_it_can_do_without_is_listed_and_leaves_it_ready() -> None:
    readiness = Readiness(answers_at_once=False, now=NOON)
    readiness.started()
    readiness.saw("Kafka ACLs", "may not read", NOON, is_only_named=True)
    assert readiness.is_ready(NOON + 2 * GONE)
    assert [one.what for one in readiness.missing()] == ["Kafka ACLs"]


def test_a_failure_after_a_good_while_is_the_first_again() -> None:
    assert failures_in_a_row(7, ran_seconds=0.1) == 8
    assert failures_in_a_row(7, ran_seconds=WELL_SECONDS) == 1


def test_what_is_waited_for_is_said_ever_more_seldom_and_a_new_reason_at_once() -> None:
    said = SaysSeldom()
    heard = [second for second in range(2000) if said.is_due("refused", second)]
    assert heard == [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 811, 1111, 1411, 1711]
    assert said.is_due("unknown name", 1712)
    assert not said.is_due("unknown name", 1712.5)


@dataclass
class Stage:
    """A service on servers of its own, which the test may stop."""

    service: ServiceProcess
    kafka: EmbeddedKafka
    clickhouse: subprocess.Popen[bytes]

    def freeze(self) -> None:
        self.clickhouse.send_signal(signal.SIGSTOP)
        self.kafka.freeze()

    def thaw(self) -> None:
        self.clickhouse.send_signal(signal.SIGCONT)
        self.kafka.thaw()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    kafka, port = EmbeddedKafka(tmp_path / "kafka"), free_port()
    clickhouse = start_clickhouse(tmp_path / "tables", port)
    kafka.start()
    url = wait_until_ready(clickhouse, tmp_path / "tables", port)
    environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka.address, "CLICKHOUSE_URL": url}
    service = ServiceProcess(["human_review", "prediction_logging"], tmp_path / "service", environment)
    service.start()
    made = Stage(service, kafka, clickhouse)
    yield made
    made.thaw()
    service.kill()
    kafka.stop()
    stop(clickhouse)


def test_readiness_falls_with_what_it_stands_on_and_comes_back(stage: Stage) -> None:
    stage.service.await_status("/health/ready", 200)
    stage.freeze()
    body = stage.service.await_status("/health/ready", 503, 40).json()
    assert {one["what"] for one in body["missing"]} == {"Kafka", "ClickHouse"}
    assert all(one["since"] and one["why"] for one in body["missing"])
    assert (live := stage.service.get("/health/live")) is not None
    assert live.status_code == 200
    stage.thaw()
    assert stage.service.await_status("/health/ready", 200).json() == {"status": "ready", "missing": []}


def test_it_ends_in_time_though_kafka_and_clickhouse_hang(stage: Stage) -> None:
    stage.service.await_status("/health/ready", 200)
    stage.freeze()
    assert stage.service.stop(END_SECONDS + 5) in (0, 1)


def test_it_ends_in_time_though_they_hung_when_it_started(stage: Stage) -> None:
    stage.freeze()
    stage.service.await_status("/health/live", 200)
    assert stage.service.stop(END_SECONDS + 5) in (0, 1)


async def test_what_goes_away_while_tables_are_migrated_is_waited_for_and_a_refusal_is_not() -> None:
    waited: list[tuple[str, str]] = []
    answers: list[Exception | None] = [OperationalError("Network Error: refused"), TimeoutError("slow"), None]

    async def migrates() -> None:
        if (error := answers.pop(0)) is not None:
            raise error

    work = partial(tables_may_be_away, migrates)
    await until_it_answers("ClickHouse", work, lambda what, why: waited.append((what, why)))
    assert waited[1:] == [("ClickHouse", "Network Error: refused"), ("ClickHouse", "slow")]
    answers.append(DatabaseError("syntax", code=62))
    with pytest.raises(DatabaseError):
        await until_it_answers("ClickHouse", work, lambda what, why: None)


def test_a_gateway_ends_in_time_though_its_model_server_hangs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        gateway = ServiceProcess(
            ["model_gateway"], tmp_path, {"MODELS_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        )
        gateway.start()
        try:
            gateway.await_status("/health/live", 200)
            body = gateway.await_status("/health/ready", 503).json()
            assert "model server" in [one["what"] for one in body["missing"]]
            assert gateway.stop(END_SECONDS + 5) == 0
        finally:
            gateway.kill()
