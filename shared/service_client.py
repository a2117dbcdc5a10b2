"""Asking a service of ours over HTTP, as console and command line do; services do not ask each other."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp

from shared.http_tls import refuse_readable_key
from shared.loopback import is_this_machine
from shared.problems import NOT_TAKEN, UNKNOWN_PATH

PAUSE_SECONDS = 0.2


class ServiceAway(Exception):
    """Nothing answers at the address, or not in time. What was asked for may have been done."""


class ServiceRefused(Exception):
    """The service's own problem+json: its message is the `detail`, which says what to do."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.status, self.body = status, body
        super().__init__(str(body.get("detail") or body.get("title") or f"HTTP {status}"))

    @property
    def is_for_now(self) -> bool:
        """The same may be taken in a moment."""
        return self.status >= 500

    @property
    def was_not_taken(self) -> bool:
        """Nothing was done, so that the same may be sent again whatever it is."""
        return self.status == 503 and self.body.get("code") == NOT_TAKEN


class ServiceClient:
    """A client of one address, to be used inside `async with`; safe to share between tasks of one event loop.

    What http_proxy in the environment says is followed for other machines, never for this one.
    """

    def __init__(
        self, url: str, *, timeout_seconds: float = 30.0, patience_seconds: float = 0.0, key: str = "",
        tls: ssl.SSLContext | None = None, plain: bool = False,
    ) -> None:  # fmt: skip
        """`tls`: whom to trust where `url` is https; None: whom this machine trusts. What a service does not
        take yet, having just started, is sent again for `patience_seconds`. `plain`: as HTTP_PLAIN says."""
        self.url, self._patience = url.rstrip("/"), patience_seconds
        self._plain = plain
        self._tls = tls
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Any = None,
        form: Callable[[], aiohttp.FormData] | None = None,
        key: str = "",
    ) -> Any:
        """The answer's JSON; None where there is no content.

        Raises ServiceAway, ServiceRefused, and CannotUseTls where the key would be readable on its way.
        `form`: made anew each time that it is sent. `key`: of whoever asks by this client, if that is another
        one than the client's own.
        """
        headers = {"Authorization": f"Bearer {key}"} if key else self._headers
        if headers:
            refuse_readable_key(self.url, plain=self._plain)
        until = time.monotonic() + self._patience
        while True:
            try:
                return await self._sent(method, path, query, body, form and form(), headers)
            except ServiceRefused as refused:
                if not refused.was_not_taken or time.monotonic() > until:
                    raise
            await asyncio.sleep(PAUSE_SECONDS)

    async def _sent(
        self, method: str, path: str, query: Sequence[tuple[str, str]], body: Any,
        form: aiohttp.FormData | None, headers: Mapping[str, str],
    ) -> Any:  # fmt: skip
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls or True),
                timeout=self._timeout,
                trust_env=not is_this_machine(self.url),
            )
        try:
            async with self._session.request(
                method, self.url + path, params=list(query), json=body, data=form, headers=headers
            ) as answer:
                if answer.status >= 400:
                    raise ServiceRefused(answer.status, await _problem(answer))
                return await answer.json(content_type=None) if answer.status != 204 else None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ServiceAway(f"{self.url} does not answer ({_why(error)}).") from error


async def _problem(answer: aiohttp.ClientResponse) -> Mapping[str, Any]:
    """The problem's body; one with only the status if whoever answered is none of ours."""
    try:
        body = await answer.json(content_type=None)
    except ValueError:
        body = None
    if isinstance(body, dict) and body.get("detail") != answer.reason and body.get("code") != UNKNOWN_PATH:
        return body
    told = f"{answer.url.origin()} answered {answer.status} {answer.reason} to {answer.url.path}"
    return {"detail": f"{told}: is it the address of the service that is meant?"}


def _why(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted here: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        return "connection refused" if isinstance(cause, ConnectionRefusedError) else str(cause)
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
