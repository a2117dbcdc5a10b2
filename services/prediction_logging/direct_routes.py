"""Answers routes before FastAPI looks for them: to find one costs more than to judge and publish an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.asgi_route import Answer
from shared.problems import Problem


def answered_directly(router: APIRouter) -> Callable[[FastAPI], None]:
    """What is to be done to an app, so that the router's marked routes are answered."""
    answers = {
        (method, route.path): route.endpoint.answer
        for route in router.routes
        if isinstance(route, APIRoute) and hasattr(route.endpoint, "answer")
        for method in route.methods or ()
    }

    def mount(app: FastAPI) -> None:
        app.add_middleware(DirectRoutes, answers=answers)

    return mount


class DirectRoutes:
    """ASGI middleware. By method and path: whatever else is asked is the app's affair."""

    def __init__(self, app: ASGIApp, answers: Mapping[tuple[str, str], Answer]) -> None:
        self._app, self._answers = app, answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._answers.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if answer is None:
            await self._app(scope, receive, send)
            return
        try:
            response = await answer(Request(scope, receive))
        except Problem as problem:
            response = problem.response(scope["path"])
        await response(scope, receive, send)
