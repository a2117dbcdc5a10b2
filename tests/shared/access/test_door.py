"""The door of a process that other machines reach, before and after its first key."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from shared.access.admission import Admission
from shared.access.api_key import digest_of, new_key
from shared.access.door import Door, may, shown_by
from shared.access.roles import Role, Verb
from shared.http_conventions import HttpSettings, follow_http_conventions, guard
from shared.problems import answer_with_problems
from tests.shared.access.test_admission import admission
from tests.shared.access.test_keys import NOW, made

PAGE = {"accept": "text/html"}


def asking(admission: Admission, address: str = "127.0.0.1") -> httpx.AsyncClient:
    """From that address."""
    app = FastAPI()
    answer_with_problems(app)

    @app.get("/sign-in")
    @app.get("/health/live")
    async def open_to_all() -> str:
        return "open"

    @app.get("/read", dependencies=[may(Verb.READ)])
    async def read() -> str:
        return "read"

    app.add_middleware(Door, admission=admission)
    follow_http_conventions(app, HttpSettings())
    guard(app, HttpSettings())
    transport = httpx.ASGITransport(app, client=(address, 123))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def test_before_the_first_key_nothing_but_health_is_answered_and_it_says_how_to_make_one(
    tmp_path: Path,
) -> None:
    here = admission(tmp_path, beyond_loopback=True)
    await here.completed()
    async with asking(here) as client:
        assert (await client.get("/health/live")).status_code == 200
        for path, headers in (
            ("/read", {}),
            ("/read", PAGE),
            ("/read", {"authorization": f"Bearer {new_key().text}"}),
            ("/sign-in", PAGE),
            ("/nowhere", {}),
        ):
            answer = await client.get(path, headers=headers)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2"), path
            assert "tuneloop keys create NAME --role operator" in answer.json()["detail"]


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR])
async def test_with_it_whoever_has_one_comes_in_and_all_others_are_asked_who_they_are(
    tmp_path: Path, role: Role
) -> None:
    here, key = admission(tmp_path, beyond_loopback=True), new_key()
    await here.completed()
    await here.on_access_changed(made(key, role=role))
    async with asking(here) as client:
        assert (await client.get("/sign-in")).status_code == 200
        assert (await client.get("/read")).status_code == 401
        for path, place in (("/read", "%2Fread"), ("/read?workload=x&a=b", "%2Fread%3Fworkload%3Dx%26a%3Db")):
            assert (await client.get(path, headers=PAGE)).headers["location"] == f"/sign-in?next={place}"
        known = {"authorization": f"Bearer {key.text}"}
        assert (await client.get("/read", headers=known)).status_code == 200


def test_what_a_page_asks_it_asks_by_what_its_visitor_showed() -> None:
    key, cookie = (b"authorization", b"Bearer  tl_key "), (b"cookie", b"tuneloop-session=a.b.c")
    assert shown_by({"headers": [cookie]}) == "a.b.c"
    assert shown_by({"headers": [key]}) == shown_by({"headers": [cookie, key]}) == "tl_key"
    assert shown_by({"headers": []}) == ""


async def test_a_websocket_ends_with_the_key_that_opened_it(tmp_path: Path) -> None:
    here, key = admission(tmp_path, beyond_loopback=True), new_key()
    await here.completed()
    await here.on_access_changed(made(key))
    received, sent = [], []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            received.append(message)
            if len(received) == 2:
                await here.on_access_changed(made(key, revision=2, revoked_at=NOW))

    async def receive() -> Message:
        return {"type": "websocket.receive", "text": "2"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {key.text}".encode())]
    scope = {"type": "websocket", "path": "/socket", "headers": headers}
    await Door(app, here)(scope, receive, send)
    assert len(received) == 2
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "x-forwarded-host", "X-Forwarded-Proto", "Forwarded", "X-Real-IP"]
)
async def test_a_laptop_without_keys_answers_nobody_through_a_proxy(tmp_path: Path, header: str) -> None:
    here = admission(tmp_path)
    await here.completed()
    async with asking(here) as client:
        assert (await client.get("/read")).status_code == 200
        answer = await client.get("/read", headers={header: "203.0.113.9"})
        assert answer.status_code == 503
        assert "HTTP_PROXIES" in answer.json()["detail"]
        assert "tuneloop keys create NAME --role operator" in answer.json()["detail"]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
async def test_the_host_s_key_opens_nothing_through_a_proxy(tmp_path: Path, header: str) -> None:
    here = admission(tmp_path, beyond_loopback=True)
    here.host_key_digest = digest_of("the host's")
    await here.completed()
    await here.on_access_changed(made(new_key()))
    headers = {"authorization": "Bearer the host's"}
    async with asking(here) as client:
        assert (await client.get("/read", headers=headers)).status_code == 200
        assert (await client.get("/read", headers=headers | {header: "203.0.113.9"})).status_code == 401
    async with asking(here, "192.0.2.7") as client:
        assert (await client.get("/read", headers=headers)).status_code == 401


@pytest.mark.parametrize("path", ["/sign-in/", "/sign-in/nowhere", "/sign-inx", "/sign-in/oidc/else"])
async def test_nothing_but_where_people_come_in_is_answered_to_who_is_not_known(
    tmp_path: Path, path: str
) -> None:
    here = admission(tmp_path, beyond_loopback=True)
    await here.completed()
    await here.on_access_changed(made(new_key()))
    async with asking(here) as client:
        assert (await client.get("/sign-in")).status_code == 200
        assert (await client.get(path)).status_code == 401
