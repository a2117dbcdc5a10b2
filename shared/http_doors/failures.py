"""What a fault of ours is answered with, and where it is written down: one line, by a reference."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.problems import Problem

MOST_LOGGED = 200  # characters of a path
log = logging.getLogger(__name__)

Answer = Callable[[str, str], Response]
"""For a path and a reference."""


def as_problem(path: str, reference: str) -> Response:
    said = f"The request failed for a reason of ours. It is logged as {reference}; try again later."
    return Problem(500, "Internal error", said, reference=reference).response(path)


class Failures:
    """ASGI middleware around all others that may fail. None gets as far as the server's own log."""

    def __init__(self, app: ASGIApp, answer: Answer = as_problem) -> None:
        self._app, self._answer = app, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def sending(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            return  # whoever has gone is answered by nobody
        except Exception as error:
            reference, path = secrets.token_hex(6), scope["path"]
            log.error(
                "%s %r failed: %s; reference %s",
                scope["method"],
                path[:MOST_LOGGED],
                type(error).__name__,
                reference,
                exc_info=error,
            )
            if not has_begun:  # else the server sees that the answer has no end, and hangs up
                await self._answer(path, reference)(scope, receive, send)
