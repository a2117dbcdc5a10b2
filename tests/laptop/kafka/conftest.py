"""The brokers that the promises are tried on: the embedded one always, Apache Kafka where there is one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.kafka import EmbeddedKafka, apache_kafka, embedded_kafka


@pytest.fixture(scope="session", params=["embedded", "apache"])
def kafka(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bootstrap address of a running broker."""
    folder = tmp_path_factory.mktemp(f"kafka-{request.param}")
    if request.param == "embedded":
        with embedded_kafka(folder) as address:
            yield address
    elif running := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield running
    elif home := os.environ.get("KAFKA_HOME"):
        with apache_kafka(Path(home), folder) as address:
            yield address
    else:
        pytest.skip(
            "no Apache Kafka here: set KAFKA_BOOTSTRAP_SERVERS, or KAFKA_HOME to a folder of its jars"
        )


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """An embedded broker that a test may kill and start again."""
    started = EmbeddedKafka(tmp_path)
    started.start()
    yield started
    if started.is_running:
        started.stop()


@pytest.fixture(scope="module")
def kafka_embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an embedded broker that the tests of a file share."""
    with embedded_kafka(tmp_path_factory.mktemp("kafka")) as address:
        yield address
