"""A process that starts takes nothing and refuses nothing before it has read its state."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from deploy.laptop.opening import own_addresses
from shared.access.admission import KNOWN_KEYS
from shared.events import WorkloadAdded, record
from shared.kafka import Kafka
from shared.topics import declare, topics_of
from tests.servers.services import ServiceProcess
from tests.shared.consuming import added, produce

PREDICTION = {
    "workload": "tickets",
    "input": "Where is my money?",
    "answer": "refund",
    "confidence": 0.9,
    "adapter": "theirs",
}


@pytest.fixture
def intake(kafka: str, database_url: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    """The intake, with a workload on Kafka that it does not know yet."""
    declare(topics_of([WorkloadAdded]), Kafka(kafka), 1, 30)
    event = record(added("tickets"), "workloads")
    produce(kafka, event.topic, {0: [event.value]})
    process = ServiceProcess(
        ["prediction_logging"], tmp_path, {"KAFKA_BOOTSTRAP_SERVERS": kafka, "CLICKHOUSE_URL": database_url}
    )
    yield process
    process.kill()


def test_after_a_restart_no_workload_is_unknown(intake: ServiceProcess) -> None:
    for _ in range(2):
        intake.start()
        answers = answers_until_accepted(intake)
        assert {answer.status_code for answer in answers} <= {202, 503}, answers[0].text
        for early in answers[:-1]:
            assert early.headers["retry-after"]
            assert early.headers["content-type"] == "application/problem+json"
        intake.kill()


def answers_until_accepted(intake: ServiceProcess) -> list[httpx.Response]:
    """All that a client hears that posts from the first connection on."""
    answers: list[httpx.Response] = []
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            answers.append(httpx.post(f"{intake.url}/predictions", json=PREDICTION, timeout=15))
        except httpx.TransportError:
            continue
        if answers[-1].status_code == 202:
            return answers
        time.sleep(0.02)  # another process: there is nothing to await
    raise TimeoutError(f"{answers[-1].text}\n{intake.log[-3000:]}")


def test_what_no_service_needs_state_for_is_answered_at_once(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / KNOWN_KEYS).write_text("[]")  # it was up before, and there was no key
    process = ServiceProcess(["prediction_logging"], tmp_path)
    process.start()
    try:
        process.await_status("/health/live", 200)
        for path, status in {
            "/metrics": 200, "/docs": 200, "/openapi.json": 200, "/health/ready": 503, "/predictions": 503,
            "/nowhere": 503,
        }.items():  # fmt: skip
            answer = process.get(path)
            assert answer is not None
            assert answer.status_code == status, path
    finally:
        process.kill()


def test_a_wrong_password_ends_the_process_with_what_to_change(
    kafka: str, database_url: str, tmp_path: Path
) -> None:
    password = str(urlsplit(database_url).password)
    wrong = database_url.replace(password, "wrong")
    process = ServiceProcess(
        ["human_review"], tmp_path, {"KAFKA_BOOTSTRAP_SERVERS": kafka, "CLICKHOUSE_URL": wrong}
    )
    process.start()
    try:
        assert process.await_end() == 1
        assert "refuses user “tuneloop”" in process.log.splitlines()[-1]
        assert "Traceback" not in process.log
    finally:
        process.kill()


def test_more_replicas_than_brokers_end_the_process_with_the_true_cause(kafka: str, tmp_path: Path) -> None:
    settings = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "KAFKA_REPLICATION": "3"}
    process = ServiceProcess(["human_review"], tmp_path, settings)
    process.start()
    try:
        assert process.await_end() == 1
        assert "KAFKA_REPLICATION=3 asks for 3 brokers" in process.log.splitlines()[-1]
    finally:
        process.kill()


def test_while_kafka_is_away_it_is_alive_and_says_what_it_waits_for(tmp_path: Path) -> None:
    process = ServiceProcess(["human_review"], tmp_path)
    process.start()
    try:
        process.await_status("/health/live", 200)
        until = time.monotonic() + 30
        while (
            "Connection refused" not in (said := process.await_status("/health/ready", 503).json())["detail"]
        ):
            assert time.monotonic() < until, said
        assert said["missing"][0]["what"] == "Kafka"
        assert process.stop() == 0
    finally:
        process.kill()


def test_keys_that_are_not_there_end_the_process_with_the_setting_to_change(tmp_path: Path) -> None:
    process = ServiceProcess(["retraining"], tmp_path, {"ADAPTERS_PUBLIC_KEY": str(tmp_path / "nowhere.pem")})
    process.start()
    assert process.await_end() == 1
    assert process.log.splitlines()[-1].startswith(f"ADAPTERS_PUBLIC_KEY: {tmp_path}/nowhere.pem is no")


@pytest.mark.skipif(not own_addresses(), reason="this machine has no address besides loopback")
def test_no_service_takes_keys_readably_unless_that_is_asked_for(tmp_path: Path) -> None:
    host, plain = own_addresses()[0], {"HTTP_PLAIN": "true"}
    refused = ServiceProcess(["human_review"], tmp_path / "a", hosts=[host])
    refused.start()
    assert refused.await_end() == 1
    assert "HTTP_TLS_CERTIFICATE" in refused.log
    allowed = ServiceProcess(["human_review"], tmp_path / "b", plain, hosts=["localhost", host])
    allowed.start()
    try:
        allowed.await_status("/health/live", 200)
    finally:
        allowed.kill()
