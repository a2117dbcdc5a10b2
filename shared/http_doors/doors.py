"""The outermost ASGI middleware: who is asked, which page asks, and what browsers are told of the answer."""

from __future__ import annotations

from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http_doors.headers import with_headers
from shared.http_doors.own_hosts import is_own_host
from shared.http_doors.own_origins import may_speak
from shared.problems import Problem

HEALTH = "/health"
"""Below it everybody is told whether this process is well: probes name hosts as they like."""
MOST_KNOWN = 64
POLICY_VIOLATION = 1008


class Doors:
    """`names`: what this process is called besides localhost. `origins`: of other pages that may speak to it.

    A request costs one look at its headers: hosts found to be ours are remembered as they are spelt.
    """

    def __init__(self, app: ASGIApp, names: Collection[str], origins: Collection[bytes]) -> None:
        self._app, self._names, self._origins = app, names, origins
        self._known: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        hosts, origins = [], []
        for name, value in scope["headers"]:
            if name == b"host":
                hosts.append(value)
            elif name == b"origin":
                origins.append(value)
        host, origin = hosts[0] if hosts else b"", origins[0] if origins else None
        problem = None
        if len(hosts) > 1 or len(origins) > 1:
            problem = said_twice()
        elif host not in self._known and not self._is_own(host) and not scope["path"].startswith(HEALTH):
            problem = not_our_name()
        elif origin is not None and not may_speak(
            origin, host, self._origins, is_tls=scope["scheme"] in ("https", "wss")
        ):
            problem = foreign_page()
        if scope["type"] == "websocket":
            if problem is None:
                await self._app(scope, receive, send)
            else:  # before it is accepted this is an answer of 403
                await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = with_headers(list(message["headers"]))
            await send(message)

        if problem is None:
            await self._app(scope, receive, sending)
        else:
            await problem.response(scope["path"])(scope, receive, sending)

    def _is_own(self, host: bytes) -> bool:
        is_own = is_own_host(host, self._names)
        if is_own and len(self._known) < MOST_KNOWN:
            self._known.add(host)
        return is_own


def said_twice() -> Problem:
    return Problem(
        400, "Two answers", "The header Host or Origin stands there twice, so nobody knows which holds."
    )


def not_our_name() -> Problem:
    return Problem(
        421,
        "Not our name",
        "The Host header names somebody else. Ask by localhost or address, or list the name in HTTP_HOSTS.",
    )


def foreign_page() -> Problem:
    return Problem(
        403,
        "Foreign page",
        "Web pages of other origins may not speak to this process. Those listed in HTTP_CORS_ORIGINS may.",
    )
