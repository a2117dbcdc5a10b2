"""Fixtures for every test that needs real tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from shared.tables import Tables, connect
from tests.servers.clickhouse import clickhouse, execute


@pytest.fixture(scope="session")
def clickhouse_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A ClickHouse that all tests share: CLICKHOUSE_URL's, or one started for them."""
    with clickhouse(tmp_path_factory.mktemp("clickhouse")) as url:
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
async def tables(database_url: str) -> AsyncIterator[Tables]:
    """A client of a database that nobody else uses."""
    tables = await connect(database_url, patience_seconds=30)
    yield tables
    await tables.close()
