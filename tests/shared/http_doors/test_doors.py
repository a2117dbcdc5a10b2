"""The doors stand before everything: routes, pages, websockets, preflights."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from starlette.responses import HTMLResponse
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from shared.http_conventions import HttpSettings, follow_http_conventions, guard

US, FOREIGN = "http://localhost:8081", "https://attacker.example"


def guarded(hosts: str = "", cors_origins: str = "") -> FastAPI:
    app = FastAPI()

    @app.api_route("/things", methods=["GET", "POST"])
    async def things() -> list[str]:
        return ["one"]

    @app.get("/health/live")
    async def live() -> str:
        return "alive"

    @app.get("/page")
    async def page() -> HTMLResponse:
        return HTMLResponse("", headers={"content-security-policy": "default-src 'self'"})

    @app.websocket("/socket")
    async def socket(one: WebSocket) -> None:
        await one.accept()
        await one.send_text("hello")

    settings = HttpSettings(hosts=hosts, cors_origins=cors_origins)
    follow_http_conventions(app, settings)
    guard(app, settings)
    return app


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(
        guarded(hosts="tuneloop.example.org", cors_origins="https://app.example.org")
    )
    async with httpx.AsyncClient(transport=transport, base_url=US) as client:
        yield client


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
async def test_by_a_foreign_name_nothing_is_answered_but_health(http: httpx.AsyncClient, method: str) -> None:
    foreign = {"host": "attacker.example"}
    answer = await http.request(method, "/things", headers=foreign)
    assert (answer.status_code, answer.headers["content-type"]) == (421, "application/problem+json")
    assert "HTTP_HOSTS" in answer.json()["detail"]
    assert "attacker" not in answer.text
    assert (await http.get("/health/live", headers=foreign)).status_code == 200


async def test_a_listed_name_is_answered(http: httpx.AsyncClient) -> None:
    for _ in range(2):  # found, and remembered
        assert (await http.get("/things", headers={"host": "tuneloop.example.org:443"})).status_code == 200


async def test_hosts_are_not_remembered_without_end() -> None:
    app = guarded()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport) as http:
        for port in range(1000, 1200):
            assert (await http.get(f"http://127.0.0.1:{port}/things")).status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
async def test_a_foreign_page_is_refused_whatever_it_does(http: httpx.AsyncClient, method: str) -> None:
    for origin in (FOREIGN, "null"):
        answer = await http.request(method, "/things", headers={"origin": origin})
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("headers", [{}, {"origin": US}, {"origin": "https://app.example.org"}])
async def test_programs_our_pages_and_listed_ones_may_ask(
    http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    assert (await http.post("/things", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "is_let_in"),
    [
        ({"origin": US}, True),
        ({}, True),
        ({"origin": FOREIGN}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://attacker.example:8081", "host": "attacker.example:8081"}, False),
    ],
)
def test_a_websocket_is_asked_as_requests_are(headers: dict[str, Any], is_let_in: bool) -> None:
    headers = {"host": "localhost:8081"} | headers
    with TestClient(guarded()) as client:
        if is_let_in:
            with client.websocket_connect("/socket", headers=headers) as socket:
                assert socket.receive_text() == "hello"
        else:
            with pytest.raises(WebSocketDisconnect), client.websocket_connect("/socket", headers=headers):
                pass


async def test_every_answer_may_neither_be_framed_nor_guessed_at(http: httpx.AsyncClient) -> None:
    for answer in (await http.get("/things"), await http.get("/nothing"), await http.get("/page")):
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await http.get("/things")).headers["content-security-policy"].startswith("default-src 'none';")
    assert (await http.get("/page")).headers["content-security-policy"] == "default-src 'self'"


@pytest.mark.parametrize("hosts", ["a b", "a,,b", "a:80", "http://a", "*"])
def test_what_is_no_name_is_refused_at_the_start(hosts: str) -> None:
    with pytest.raises(ValueError, match="hosts"):
        HttpSettings(hosts=hosts)


@pytest.mark.parametrize(
    "headers",
    [
        [("Host", "localhost:8081"), ("Host", "attacker.example")],
        [("Host", "attacker.example"), ("Host", "localhost:8081")],
        [("Host", "localhost:8081"), ("Origin", FOREIGN), ("Origin", US)],
    ],
)
async def test_who_says_two_hosts_or_origins_is_refused(
    http: httpx.AsyncClient, headers: list[tuple[str, str]]
) -> None:
    answer = await http.get("/things", headers=headers)
    assert (answer.status_code, answer.json()["title"]) == (400, "Two answers")


@pytest.mark.parametrize(
    ("settings", "are_others_let_through"),
    [({}, False), ({"hosts": "tuneloop.example.org"}, True), ({"proxies": "127.0.0.1,10.0.0.0/8"}, True)],
)
def test_whoever_names_a_host_or_a_proxy_lets_others_through(
    settings: dict[str, Any], *, are_others_let_through: bool
) -> None:
    assert HttpSettings(**settings).is_for_others is are_others_let_through
