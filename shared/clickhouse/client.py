"""A client of one database: parameters are bound by the server, and every call comes to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.external import ExternalData

ANSWER_SECONDS = 40.0  # below HANDLER_SECONDS (60), and far below Kafka's max.poll.interval.ms (300 s)


@dataclass
class Connection:
    """Opened when it is first used, so that a process without tables needs no ClickHouse."""

    open_client: Callable[[], Awaitable[AsyncClient]]
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    _opened: AsyncClient | None = None

    async def client(self) -> AsyncClient:
        if self._opened is None:
            async with self._opening:
                if self._opened is None:
                    self._opened = await self.open_client()
        return self._opened

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()


class ClickHouse:
    """Parameters are always bound by the server: `{name:String}`.

    Every call raises TimeoutError when ClickHouse has not answered in time; what it was asked to store may
    have been stored.
    """

    def __init__(self, connection: Connection, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._connection, self._seconds = connection, answer_seconds

    def patient(self, answer_seconds: float) -> ClickHouse:
        """The same tables, for statements that may take so long."""
        return ClickHouse(self._connection, answer_seconds)

    async def connected(self) -> Self:
        """Waits until the server answers. Raises TimeoutError if its patience has an end, and
        CannotUseClickHouse where waiting does not help."""
        await self._connection.client()
        return self

    async def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        async with self._client() as client:
            answer = await client.query(sql, parameters=parameters)
        return list(answer.named_results())

    async def published_rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """Like `rows`, of another service's view: one whose owner has not started yet reads as empty."""
        try:
            return await self.rows(sql, **parameters)
        except DatabaseError as error:
            if "UNKNOWN_TABLE" in str(error):
                return []
            raise

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
        async with self._client() as client:
            answer = await client.query(sql, parameters=parameters, external_data=table)
        return list(answer.named_results())

    async def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Inserts rows of one shape in one block; returns when ClickHouse has stored them.

        What keeps rows single is the table's key: what is stored again replaces itself.
        """
        if rows:
            await self.insert_columns(table, {name: [row[name] for row in rows] for name in rows[0]})

    async def insert_columns(self, table: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """Inserts in one block what stands in columns already; returns when ClickHouse has stored it."""
        async with self._client() as client:
            await client.insert(
                table,
                list(columns.values()),
                column_names=list(columns),
                column_oriented=True,
                settings={"async_insert": 0},
            )

    async def command(self, sql: str, **parameters: Any) -> None:
        async with self._client() as client:
            await client.command(sql, parameters=parameters)

    async def close(self) -> None:
        await self._connection.close()

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[AsyncClient]:
        client = await self._connection.client()
        bound = asyncio.timeout(self._seconds)
        try:
            async with bound:
                yield client
        except TimeoutError:
            if bound.expired():
                raise TimeoutError(f"ClickHouse did not answer within {self._seconds:.0f} s") from None
            raise


def _escaped(text: str) -> str:
    """As TSV wants it."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
