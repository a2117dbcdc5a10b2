"""What the console's pages may load and run: NiceGUI's own scripts by a nonce of each answer, and no others.

NiceGUI needs 'unsafe-eval': its script evaluates what the server sends over the websocket, and Vue compiles
templates. The script elements of its page get the nonce here, before anything is filled in; so markup that
came into a page from elsewhere runs nothing, neither its scripts nor its handlers. Styles stay open: Quasar
and ECharts set them in elements and attributes. The form is the one that signs out.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable

from jinja2 import BaseLoader, Environment
from nicegui.client import templates
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NONCE = "tuneloop.nonce"
"""Where a request's scope holds it."""
Source = tuple[str, str | None, Callable[[], bool] | None]


def script_digest(script: str) -> str:
    """What a policy calls an inline script by, whose text never changes."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def policy(nonce: str, digest: str) -> str:
    return (
        "default-src 'none'; "
        f"script-src 'self' 'unsafe-eval' 'nonce-{nonce}' 'sha256-{digest}'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


class ContentPolicy:
    """ASGI middleware that gives every page its policy."""

    def __init__(self, app: ASGIApp, digest: str) -> None:
        self._app, self._digest = app, digest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_page(message):
                given = policy(nonce, self._digest).encode()
                message["headers"] = [*message["headers"], (b"content-security-policy", given)]
            await send(message)

        await self._app({**scope, NONCE: nonce}, receive, sending)


def sign_nicegui_scripts() -> None:
    """NiceGUI's page is a template whose every script element names the nonce from now on."""
    environment = templates.env
    assert environment.loader is not None
    environment.loader = _Signing(environment.loader)


class _Signing(BaseLoader):
    def __init__(self, loader: BaseLoader) -> None:
        self._loader = loader

    def get_source(self, environment: Environment, template: str) -> Source:
        source, name, is_current = self._loader.get_source(environment, template)
        return (
            source.replace("<script", f"<script nonce=\"{{{{ request.scope['{NONCE}'] }}}}\""),
            name,
            is_current,
        )


def _is_page(start: Message) -> bool:
    headers = dict(start["headers"])
    is_html = headers.get(b"content-type", b"").startswith(b"text/html")
    return is_html and b"content-security-policy" not in headers
