"""Real servers for the tests that need them: tables, and every broker there is."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import settings

from shared.clickhouse import ClickHouse, connect
from shared.loopback import no_proxy_for_loopback
from tests.servers.clickhouse import embedded_clickhouse, execute
from tests.servers.kafka import apache_kafka, embedded_kafka
from tests.slow import is_slow

# Threads that spin while they wait starve the servers of other tests; torch reads this when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.update(no_proxy_for_loopback(os.environ))

# An example that takes long on a busy machine is no fault: tests that mean a time measure it themselves.
settings.register_profile("tuneloop", deadline=None)
settings.load_profile("tuneloop")


def pytest_itemcollected(item: pytest.Item) -> None:
    if is_slow(item):
        item.add_marker("slow")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that hold nothing slow come first: what is broken plainly shows within a minute."""
    slow_files = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path in slow_files)


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
