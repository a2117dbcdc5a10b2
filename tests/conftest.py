"""Real servers for the tests that need them: tables, and every broker there is."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from shared.clickhouse import ClickHouse, connect
from tests.servers.clickhouse import embedded_clickhouse, execute
from tests.servers.kafka import apache_kafka, embedded_kafka

# Threads that spin while they wait starve the servers of other tests; torch reads this when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def clickhouse_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A ClickHouse that all tests share: CLICKHOUSE_URL's, or one started for them."""
    with embedded_clickhouse(tmp_path_factory.mktemp("clickhouse")) as url:
        yield url


@pytest.fixture
def database_url(clickhouse_url: str) -> Iterator[str]:
    """A CLICKHOUSE_URL with a database that nobody else uses; dropped after the test."""
    server, _, _ = clickhouse_url.rpartition("/")
    database = f"test_{uuid4().hex}"
    execute(clickhouse_url, f"CREATE DATABASE {database}")
    yield f"{server}/{database}"
    execute(clickhouse_url, f"DROP DATABASE {database} SYNC")


@pytest.fixture
async def clickhouse(database_url: str) -> AsyncIterator[ClickHouse]:
    """A client of a database that nobody else uses."""
    clickhouse = await connect(database_url, patience_seconds=30)
    yield clickhouse
    await clickhouse.close()


@pytest.fixture(scope="session", params=["embedded", "apache"])
def kafka(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bootstrap address of a running broker: the embedded one, then Apache Kafka where there is one."""
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
