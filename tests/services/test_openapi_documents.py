"""Every service answers as its OpenAPI document says, whatever it is sent: schemathesis asks it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
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


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
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
                yield services
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


def test_no_request_is_answered_otherwise_than_the_documents_say(
    services: ServiceProcess, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml")]
    command += ["run", f"{services.url}/openapi.json", "--phases", "coverage,fuzzing", "--warnings", "off"]
    command += ["--max-examples", str(EXAMPLES), "--generation-deterministic", "--no-shrink", "--no-color"]
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


def test_the_document_names_the_routes_of_every_service_and_its_version(services: ServiceProcess) -> None:
    document = httpx.get(f"{services.url}/openapi.json", trust_env=False).json()
    firsts = {path.split("/")[1] for path in document["paths"]}
    assert {"workloads", "v1", "predictions", "feedback", "reviews", "health", "metrics"} <= firsts
    posts = [operations["post"] for operations in document["paths"].values() if "post" in operations]
    assert all(post["requestBody"]["content"] for post in posts)
