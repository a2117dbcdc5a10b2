"""Embedded brokers that a test may do to what it likes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.kafka import EmbeddedKafka, embedded_kafka


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
