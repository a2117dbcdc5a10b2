"""Opens a client: waits for a server that is not there yet, and for none that will never let it in."""

from __future__ import annotations

import asyncio
import logging
import re
from functools import partial
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from shared.backoff import SaysSeldom
from shared.clickhouse.client import ClickHouse, Connection
from shared.clickhouse.refusals import ACCESS_DENIED, READONLY, CannotUseClickHouse, Place, refusal, too_old
from shared.loopback import HOSTS

TRY_SECONDS = 10.0
CONNECT_SECONDS = 5.0
LONGEST_SECONDS = 3600.0  # of one statement, a migration's; what bounds the others is the client

log = logging.getLogger(__name__)


def clickhouse_at(url: str, *, patience_seconds: float = float("inf")) -> ClickHouse:
    """The tables at `http://user:password@host:port/database`; the database is made if it is missing.

    The first use waits for a server that is not there yet; it raises TimeoutError when it did not come in
    time, and CannotUseClickHouse where waiting does not help.
    """
    return ClickHouse(Connection(partial(_open, url, patience_seconds)))


async def connect(url: str, *, patience_seconds: float = float("inf")) -> ClickHouse:
    """Like `clickhouse_at`, and connects at once."""
    return await clickhouse_at(url, patience_seconds=patience_seconds).connected()


def _place_of(url: SplitResult) -> Place:
    """Raises CannotUseClickHouse for a URL that names none. It quotes nothing: a password may be anywhere."""
    database = url.path.strip("/") or "tuneloop"
    try:
        port = url.port or 8123
    except ValueError:
        raise CannotUseClickHouse(
            "CLICKHOUSE_URL has no number where its port should be. It is http://USER:PASSWORD@HOST:PORT/"
            "DATABASE; in the password @ is written %40, / as %2F and : as %3A."
        ) from None
    if not re.fullmatch(r"\w+", database):
        raise CannotUseClickHouse(
            "CLICKHOUSE_URL must end in a database's name of letters, digits and _, as in "
            "http://USER:PASSWORD@HOST:PORT/DATABASE; in the password / is written %2F."
        )
    return Place(url.hostname or "", port, unquote(url.username or "default"), database)


async def _open(url: str, patience_seconds: float) -> AsyncClient:
    parts = urlsplit(url)
    place = _place_of(parts)
    login = {
        "host": place.host,
        "port": place.port,
        "username": place.user,
        "password": unquote(parts.password or ""),
        "secure": parts.scheme == "https",
        "compress": place.host not in HOSTS,  # within this machine a byte costs less to copy
        "autogenerate_session_id": False,
        "connect_timeout": CONNECT_SECONDS,
        "send_receive_timeout": LONGEST_SECONDS,
        # A query that nobody waits for any more ends there, too.
        "settings": {"cancel_http_readonly_queries_on_client_close": 1},
    }
    loop, said = asyncio.get_running_loop(), SaysSeldom()
    deadline = loop.time() + patience_seconds
    while True:
        try:
            async with asyncio.timeout(TRY_SECONDS):
                return await _try(place, login)
        except (ClickHouseError, OSError) as error:
            if refused := refusal(place, _code(error)):
                raise refused from None
            why = _why(error)
            if loop.time() > deadline:
                raise TimeoutError(
                    f"ClickHouse does not answer at {place} ({why}). Is it running? "
                    "CLICKHOUSE_URL says where to look."
                ) from error
            if said.is_due(why, loop.time()):
                log.warning("waiting for ClickHouse at %s (%s)", place, why)
            await asyncio.sleep(1)


async def _try(place: Place, login: dict[str, Any]) -> AsyncClient:
    first = await clickhouse_connect.get_async_client(**login)
    try:
        if refused := too_old(place, str(first.server_version)):
            raise refused
        await first.command(f"CREATE DATABASE IF NOT EXISTS {place.database}")
    except Error as error:
        if error.code not in (ACCESS_DENIED, READONLY):  # it may be there already
            raise
    finally:
        await first.close()
    return await clickhouse_connect.get_async_client(database=place.database, **login)


def _code(error: BaseException) -> int | None:
    return error.code if isinstance(error, Error) else None


def _why(error: BaseException) -> str:
    """Short, and without anything that was sent."""
    if isinstance(error, TimeoutError):
        return f"no answer within {TRY_SECONDS:.0f} s"
    cause = error.__cause__
    if isinstance(cause, OSError):
        return str(getattr(cause, "os_error", cause).strerror or type(cause).__name__)
    return str(error).splitlines()[0][:200] or type(error).__name__
