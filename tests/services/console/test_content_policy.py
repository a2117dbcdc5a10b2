"""A page runs the scripts that NiceGUI's template holds, and none that came into it."""

from __future__ import annotations

import re
from typing import Any

import httpx
from nicegui.client import templates
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from services.console.pages.content_policy import NONCE, ContentPolicy, script_digest, sign_nicegui_scripts

INLINE = "const a = 1;"


async def pages(scope: Scope, receive: Receive, send: Send) -> None:
    answers = {
        "/page": HTMLResponse(scope[NONCE]),
        "/own": HTMLResponse("", headers=OWN),
        "/data": Response("{}"),
    }
    await answers[scope["path"]](scope, receive, send)


OWN = {"content-security-policy": "default-src 'none'"}


async def policy_of(path: str) -> tuple[str | None, str]:
    """An answer's policy and its text."""
    transport = httpx.ASGITransport(ContentPolicy(pages, script_digest(INLINE)))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await http.get(path)
        return answer.headers.get("content-security-policy"), answer.text


async def test_each_page_has_a_nonce_that_nobody_can_know() -> None:
    (first, nonce), (second, other) = await policy_of("/page"), await policy_of("/page")
    assert nonce != other
    assert f"'nonce-{nonce}'" in str(first)
    assert f"'nonce-{other}'" in str(second)


async def test_inline_scripts_run_by_nonce_or_digest_and_nothing_comes_from_elsewhere() -> None:
    policy, _ = await policy_of("/page")
    parts = dict(part.strip().split(" ", 1) for part in str(policy).split(";"))
    assert "'unsafe-inline'" not in parts["script-src"]
    assert f"'sha256-{script_digest(INLINE)}'" in parts["script-src"]
    assert not re.findall(r"https?:|\*", str(policy))
    for name in ("default-src", "base-uri", "frame-ancestors"):
        assert parts[name] == "'none'"
    assert parts["form-action"] == "'self'"


async def test_what_is_no_page_or_has_a_policy_is_left_alone() -> None:
    assert (await policy_of("/own"))[0] == OWN["content-security-policy"]
    assert (await policy_of("/data"))[0] is None


def test_every_script_of_nicegui_has_the_nonce_and_what_is_filled_in_has_not() -> None:
    sign_nicegui_scripts()
    scope: Any = {"type": "http", "headers": [], NONCE: "n0nce"}
    planted = {"head_html": "<script>planted</script>", "elements": "<script>planted</script>"}
    values = planted | {"request": Request(scope), "translations": {}}
    scripts = re.findall(r"<script([^>]*)>", templates.get_template("index.html").render(values))
    assert len(scripts) > 5
    assert sum('nonce="n0nce"' not in one for one in scripts) == len(planted)
