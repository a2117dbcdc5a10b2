"""Every service answers as its OpenAPI document says, whatever it is sent: schemathesis asks it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Producer

from shared.events.envelope import record
from tests.servers.clickhouse import embedded_clickhouse
from tests.servers.kafka import EmbeddedKafka
from tests.servers.model import ROOT
from tests.servers.services import ServiceProcess
from tests.services.model_gateway.conftest import added
from tests.services.openapi_hooks import MAY_BE_RETIRED, THERE

SERVICES = ("workloads", "model_gateway", "prediction_logging", "human_review", "console")
"""All that have routes of their own, and the pages beside them, in one process as on a laptop."""
HERE = Path(__file__).parent
EXAMPLES = 5


@dataclass(frozen=True)
class Asked:
    services: ServiceProcess
    authorization: str
    """Of an operator. Requests that make keys would close the door to all that have none."""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """Over an embedded broker and ClickHouse; there is no model server, so no answer either: 503."""
    folder = tmp_path_factory.mktemp("documents")
    kafka = EmbeddedKafka(folder / "kafka")
    kafka.start()
    try:
        with embedded_clickhouse(folder / "clickhouse") as clickhouse_url:
            addresses = {"KAFKA_BOOTSTRAP_SERVERS": kafka.address, "CLICKHOUSE_URL": clickhouse_url}
            services = ServiceProcess(SERVICES, folder / "services", addresses)
            services.start()
            try:
                services.await_status("/workloads", 200)
                add_workloads(kafka.address)
                for name in (THERE, MAY_BE_RETIRED):
                    services.await_status(f"/workloads/{name}", 200)
                services.await_status("/health/ready", 200)
                wanted = {"name": "schemathesis", "role": "operator"}
                made = services.post("/keys", wanted)
                assert made.status_code == 201, made.text
                services.await_status("/workloads", 401)  # from the first key on, nobody comes in without
                yield Asked(services, f"Bearer {made.json()['key']}")
            finally:
                services.kill()
    finally:
        kafka.stop()


def add_workloads(kafka: str) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    for name in (THERE, MAY_BE_RETIRED):
        made = record(added(name), "workloads")
        producer.produce(made.topic, made.value, made.key, headers=dict(made.headers))
    assert producer.flush(30) == 0


def test_no_request_is_answered_otherwise_than_the_documents_say(asked: Asked, tmp_path: Path) -> None:
    services = asked.services
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml")]
    command += ["run", f"{services.url}/openapi.json", "--phases", "coverage,fuzzing", "--warnings", "off"]
    command += ["--max-examples", str(EXAMPLES), "--generation-deterministic", "--no-shrink", "--no-color"]
    command += ["--header", f"Authorization: {asked.authorization}"]
    command += ["--continue-on-failure", "--request-timeout", "30", "--suppress-health-check", "all"]
    done = subprocess.run(
        command,
        cwd=tmp_path,  # it keeps a cache where it runs
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.services.openapi_hooks",
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert services.is_running
    assert "Traceback" not in services.log


def test_the_document_names_the_routes_of_every_service_and_its_version(asked: Asked) -> None:
    headers = {"authorization": asked.authorization}
    document = httpx.get(f"{asked.services.url}/openapi.json", headers=headers, trust_env=False).json()
    firsts = {path.split("/")[1] for path in document["paths"]}
    assert {"workloads", "v1", "predictions", "feedback", "reviews", "health", "metrics"} <= firsts
    posts = {
        path: operations["post"] for path, operations in document["paths"].items() if "post" in operations
    }
    assert {path for path, post in posts.items() if "requestBody" not in post} == {"/keys/{beginning}/revoke"}


@pytest.mark.parametrize("kind", ["", "text/plain", "text/json", "application/x-www-form-urlencoded"])
def test_no_route_takes_a_body_that_does_not_say_what_it_is(asked: Asked, kind: str) -> None:
    headers = {"authorization": asked.authorization}
    url = asked.services.url
    document = httpx.get(f"{url}/openapi.json", headers=headers, trust_env=False).json()
    taking = [
        (method, re.sub(r"\{[^}]*\}", THERE, path))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "requestBody" in operation
    ]
    said = {
        f"{method} {path}": httpx.request(
            method,
            url + path,
            content=b"{}",
            headers=headers | ({"content-type": kind} if kind else {}),
            trust_env=False,
        ).status_code
        for method, path in taking
    }
    assert len(said) > 10
    assert said == dict.fromkeys(said, 415)
