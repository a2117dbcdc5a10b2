"""A FastAPI route that is documented like any other and answers without FastAPI's machinery around it.

That machinery costs more than all we do with an event. So its function only says, by its parameters and its
docstring, what the OpenAPI document tells; `answered_by` names what takes the Request and gives the Response,
and what one must be allowed to do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from shared.access.door import admitted
from shared.access.roles import Verb

Answer = Callable[[Request], Awaitable[Response]]
F = TypeVar("F", bound=Callable[..., Any])


def answered_by(answer: Answer, verb: Verb) -> Callable[[F], F]:
    """Whether it may be done to the workload that the body names is for `answer` to ask."""

    async def answer_who_may(request: Request) -> Response:
        admitted(request, verb)
        return await answer(request)

    def mark(documented: F) -> F:
        documented.answer = answer_who_may  # type: ignore[attr-defined]  # a function's own, for AsgiRoute
        return documented

    return mark


class AsgiRoute(APIRoute):
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)  # says which methods there are
            return
        answer: Answer = self.endpoint.answer  # type: ignore[attr-defined]
        response = await answer(Request(scope, receive))
        await response(scope, receive, send)
