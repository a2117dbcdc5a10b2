"""A FastAPI route that bounds its JSON, in bytes and in time, before anything reads it.

FastAPI's own `max_body_size` answers in plain text, knows neither time nor gzip, and costs every request.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from fastapi import Request, Response
from fastapi.routing import APIRoute

from shared.problems import is_json, wrong_content_type
from shared.request_bodies import body_of

JSON_SECONDS = 30.0


class JsonRoute(APIRoute):
    """As a router's `route_class`. A route that takes the Request reads and bounds its body itself."""

    most_bytes: ClassVar[int] = 1 << 20
    content_type: ClassVar[str] = "application/json"

    @staticmethod
    def takes(content_type: str) -> bool:
        """Whether a body is read whose Content-Type header is this."""
        return is_json(content_type)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def bounded(request: Request) -> Response:
            body = await body_of(request, self.most_bytes, JSON_SECONDS)
            if body and not self.takes(request.headers.get("content-type", "")):
                raise wrong_content_type(self.content_type)
            request._body = body  # where Starlette keeps what it has read
            return await handle(request)

        return bounded
