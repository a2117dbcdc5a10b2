"""HTTP as programs speak it, in every process alike: HEAD, 405 with Allow, no page for a program, CORS."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.telemetry import TelemetryConfig
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Match, Mount, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http_doors.doors import Doors
from shared.http_doors.failures import Failures
from shared.problems import Problem, nothing_here, wrong_method

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ANSWERED_HEADERS = ("x-tuneloop-prediction-id", "retry-after")
"""What a script of an allowed origin may read besides what every script may."""
PREFLIGHT_SECONDS = 600
TRACES_ONLY: TelemetryConfig = {"metrics": False, "logs": False}
"""Of FastAPI's own OpenTelemetry. Each kind asks the environment at every request, and /metrics has ours."""


class HttpSettings(BaseSettings):
    """Read from the environment, by these names in upper case after HTTP_."""

    model_config = SettingsConfigDict(env_prefix="HTTP_", frozen=True)

    cors_origins: str = Field(default="", pattern=r"^(\*|https?://[^,\s/]+)?(,https?://[^,\s/]+)*$")
    """Origins whose web pages may ask this process from a browser, separated by commas, such as
    https://app.example.org; * is every origin. Empty: none."""
    hosts: str = Field(default="", pattern=r"^([A-Za-z0-9._-]+(,[A-Za-z0-9._-]+)*)?$")
    """Names that this process is asked by besides localhost and IP addresses, separated by commas and without
    ports, such as tuneloop.example.org. By another name only /health is answered: a web page can have its own
    name mean this machine."""
    proxies: str = Field(default="", pattern=r"^([0-9A-Fa-f.:/]+(,[0-9A-Fa-f.:/]+)*)?$")
    """Addresses or networks of the proxies in front of this process, separated by commas, such as 127.0.0.1.
    What they say in X-Forwarded-For and X-Forwarded-Proto is believed: who asks, and that it was by TLS. What
    others say there is not. With it, or `HTTP_HOSTS`, nobody comes in without a key."""
    tls_certificate: str = ""
    """A PEM file with this process's certificate, and after it those that vouch for it. With it addresses
    beyond loopback are served by TLS; loopback stays plain HTTP. Read when the process starts."""
    tls_key: str = ""
    """A PEM file with its private key, without a passphrase: its mode protects it."""
    plain: bool = False
    """Whether addresses beyond loopback are served by plain HTTP, over which whoever reads along has every
    key that is sent: for a network of its own behind a proxy that speaks TLS. Console and command line send
    keys so only where it is set for them."""

    @property
    def origins(self) -> frozenset[bytes]:
        return frozenset(self.cors_origins.encode().split(b",")) - {b""}

    @property
    def is_for_others(self) -> bool:
        """Whether a proxy passes on what other machines ask, wherever this process listens."""
        return bool(self.hosts or self.proxies)

    @property
    def has_tls(self) -> bool:
        return bool(self.tls_certificate or self.tls_key)

    @property
    def host_names(self) -> frozenset[str]:
        return frozenset(self.hosts.lower().split(",")) - {""}


def follow_http_conventions(app: FastAPI, settings: HttpSettings) -> None:
    """The last thing to do to an app, when all its routes, pages and other middleware are there."""

    @app.exception_handler(405)
    async def on_wrong_method(request: Request, _: Exception) -> JSONResponse:
        return wrong_method(allowed_methods(app.router, request.scope)).response(request.url.path)

    app.add_middleware(Conventions, router=app.router)
    app.add_middleware(Failures)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[origin.decode() for origin in settings.origins],
            allow_methods=METHODS,
            allow_headers=["*"],
            expose_headers=ANSWERED_HEADERS,
            max_age=PREFLIGHT_SECONDS,
        )


def guard(app: FastAPI, settings: HttpSettings) -> None:
    """After `follow_http_conventions`: nothing may stand before the doors."""
    app.add_middleware(Doors, names=settings.host_names, origins=settings.origins)


class Conventions:
    """ASGI middleware. `router` holds the routes of the API, and pages as mounts."""

    def __init__(self, app: ASGIApp, router: Router) -> None:
        self._app, self._router = app, router
        self._has_pages = any(isinstance(route, Mount) for route in router.routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if scope["method"] == "HEAD":
                scope, send = {**scope, "method": "GET"}, _without_body(send)
            if self._has_pages:
                send = self._without_pages_for_programs(scope, receive, send)
        await self._app(scope, receive, send)

    def _without_pages_for_programs(self, scope: Scope, receive: Receive, send: Send) -> Send:
        is_replaced = False

        async def sending(message: Message) -> None:
            nonlocal is_replaced
            if message["type"] == "http.response.start" and message["status"] in (404, 405):
                problem = self._instead_of(message, scope)
                if problem is not None:
                    is_replaced = True
                    await problem.response(scope["path"])(scope, receive, send)
            if not is_replaced:
                await send(message)

        return sending

    def _instead_of(self, start: Message, scope: Scope) -> Problem | None:
        """What a program is told where the pages' own answer would be a page."""
        if not Headers(raw=start["headers"]).get("content-type", "").startswith("text/html"):
            return None
        if allowed := allowed_methods(self._router, scope):
            return wrong_method(allowed)
        wants_page = "text/html" in Headers(scope=scope).get("accept", "")
        return None if wants_page else nothing_here()


def allowed_methods(router: Router, scope: Scope) -> str:
    """The methods that the API's routes take at this path, as the header Allow lists them."""
    taken = [
        method
        for method in METHODS
        if any(
            route.matches({**scope, "method": method})[0] is Match.FULL
            for route in router.routes
            if not isinstance(route, Mount)
        )
    ]
    if "GET" in taken:
        taken.insert(1, "HEAD")
    return ", ".join(taken)


def _without_body(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return sending
