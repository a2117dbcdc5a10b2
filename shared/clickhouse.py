"""ClickHouse as every service uses it: its own tables, others' published views."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.external import ExternalData

log = logging.getLogger(__name__)


class ClickHouse:
    """An asynchronous client of one database. Parameters are always bound by the server: `{name:String}`.

    It connects when it is first used, so that a process without tables needs no ClickHouse.
    """

    def __init__(self, open_client: Callable[[], Awaitable[AsyncClient]]) -> None:
        self._open_client = open_client
        self._opening = asyncio.Lock()
        self._opened: AsyncClient | None = None

    async def connected(self) -> Self:
        """Waits until the server answers. Raises TimeoutError if its patience has an end."""
        await self._client()
        return self

    async def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        answer = await (await self._client()).query(sql, parameters=parameters)
        return list(answer.named_results())

    async def rows_about(
        self, asked: Iterable[Sequence[str]], columns: Sequence[str], sql: str, **parameters: Any
    ) -> list[dict[str, Any]]:
        """Like `rows`, of a query that finds the rows of `asked` in the table `asked`.

        They travel beside the query: a parameter has an end at 128 KiB.
        """
        lines = "\n".join("\t".join(map(_escaped, row)) for row in asked)
        table = ExternalData(
            file_name="asked",
            data=lines.encode(),
            fmt="TSV",
            structure=[f"{name} String" for name in columns],
        )
        client = await self._client()
        answer = await client.query(sql, parameters=parameters, external_data=table)
        return list(answer.named_results())

    async def insert(
        self, table: str, rows: Sequence[Mapping[str, Any]], *, token: str | None = None
    ) -> None:
        """Inserts rows of one shape in one block; returns when ClickHouse has stored them.

        The same `token` within the table's deduplication window stores nothing again. It is an economy: what
        keeps rows single is the table's key.
        """
        if not rows:
            return
        names = list(rows[0])
        settings: dict[str, Any] = {"async_insert": 0}
        if token is not None:
            settings["insert_deduplication_token"] = token
        columns = [[row[name] for row in rows] for name in names]
        await (await self._client()).insert(
            table, columns, column_names=names, column_oriented=True, settings=settings
        )

    async def insert_columns(self, table: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """Inserts in one block what stands in columns already; returns when ClickHouse has stored it."""
        await (await self._client()).insert(
            table,
            list(columns.values()),
            column_names=list(columns),
            column_oriented=True,
            settings={"async_insert": 0},
        )

    async def command(self, sql: str, **parameters: Any) -> None:
        await (await self._client()).command(sql, parameters=parameters)

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()

    async def _client(self) -> AsyncClient:
        if self._opened is None:
            async with self._opening:
                if self._opened is None:
                    self._opened = await self._open_client()
        return self._opened


def clickhouse_at(url: str, *, patience_seconds: float = float("inf")) -> ClickHouse:
    """The tables at `http://user:password@host:port/database`; the database is made if it is missing.

    The first use waits for a server that is not there yet; it raises TimeoutError when it did not come in
    time.
    """
    return ClickHouse(partial(_open, url, patience_seconds))


async def connect(url: str, *, patience_seconds: float = float("inf")) -> ClickHouse:
    """Like `tables_at`, and connects at once."""
    return await clickhouse_at(url, patience_seconds=patience_seconds).connected()


async def _open(url: str, patience_seconds: float) -> AsyncClient:
    parts = urlsplit(url)
    database = parts.path.strip("/") or "tuneloop"
    if not re.fullmatch(r"\w+", database):
        raise ValueError("CLICKHOUSE_URL must end in a database's name of letters, digits and _")
    place = {
        "host": parts.hostname,
        "port": parts.port or 8123,
        "username": unquote(parts.username or "default"),
        "password": unquote(parts.password or ""),
        "secure": parts.scheme == "https",
        "autogenerate_session_id": False,
    }
    deadline = asyncio.get_running_loop().time() + patience_seconds
    while True:
        try:
            first = await clickhouse_connect.get_async_client(**place)
            try:
                await first.command(f"CREATE DATABASE IF NOT EXISTS {database}")
            finally:
                await first.close()
            return await clickhouse_connect.get_async_client(database=database, **place)
        except (ClickHouseError, OSError) as error:
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(
                    f"ClickHouse does not answer at {parts.hostname}:{parts.port}. Is it running? "
                    "CLICKHOUSE_URL says where to look."
                ) from error
            log.warning(
                "waiting for ClickHouse at %s:%s (%s)", parts.hostname, parts.port, type(error).__name__
            )
            await asyncio.sleep(1)


def _escaped(text: str) -> str:
    """As TSV wants it."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
