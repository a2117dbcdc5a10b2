"""HTTP before a service has read its state: 503 and when to come again, instead of a wrong answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.problems import Problem, not_taken
from shared.service import Service

ALWAYS = ("/health/", "/metrics", "/docs", "/openapi.json")
RETRY_AFTER_SECONDS = 1


class Openings:
    """Which services of this process answer already."""

    def __init__(self, services: Iterable[Service]) -> None:
        self._services = list(services)
        self._open = {service.name for service in self._services if service.answers_before_ready}
        self._routes = self._open_routes()

    @property
    def all_open(self) -> bool:
        return len(self._open) == len(self._services)

    def open(self, service: Service) -> None:
        """From now on it answers: its state is read."""
        self._open.add(service.name)
        self._routes = self._open_routes()

    def answers(self, scope: Scope) -> bool:
        """Whether what is asked for belongs to a service that answers, or to no service at all."""
        return scope["path"].startswith(ALWAYS) or any(
            route.matches(scope)[0] is not Match.NONE for route in self._routes
        )

    def _open_routes(self) -> Sequence[BaseRoute]:
        return [
            route
            for service in self._services
            if service.name in self._open
            for router in service.routers
            for route in router.routes
        ]


class Gate:
    """ASGI middleware: everything but health, metrics and services that are open is told to come again."""

    def __init__(self, app: ASGIApp, openings: Openings) -> None:
        self._app, self._openings = app, openings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._openings.all_open or self._openings.answers(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await not_ready_yet().response(scope["path"])(scope, receive, send)
        else:  # a page's connection: its client comes again by itself
            await send({"type": "websocket.close", "code": 1013})


def not_ready_yet() -> Problem:
    return not_taken(
        "Starting",
        "This process still reads its state. Nothing was taken; send the same again in a moment.",
        seconds=RETRY_AFTER_SECONDS,
    )
