"""What a caller learns when a service of ours refuses, is away, or is none of ours."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import FormData
from fastapi import FastAPI, Request, Response

from shared.http_tls import CannotUseTls
from shared.problems import Problem, answer_with_problems, come_again, not_taken
from shared.service_client import ServiceAway, ServiceClient, ServiceRefused
from tests.servers.http import serving
from tests.servers.model import free_port


def app() -> FastAPI:
    made, received = FastAPI(), list[bytes]()
    made.state.received = received
    answer_with_problems(made)

    @made.get("/fine")
    async def fine() -> dict[str, Any]:
        return {"is": "fine"}

    @made.get("/nothing")
    async def nothing() -> Response:
        return Response(status_code=204)

    @made.get("/problem")
    async def problem() -> None:
        raise Problem(409, "A cycle is under way", "cycle-7 is under way. Wait for it.", cycle_id="cycle-7")

    @made.get("/foreign")
    async def foreign() -> Response:
        return Response("<h1>Bad gateway</h1>", 502, media_type="text/html")

    @made.post("/starting")
    async def starting(request: Request) -> dict[str, int]:
        received.append(await request.body())
        if len(received) < 3:
            raise not_taken("Starting", "Send the same again in a moment.")
        return {"tries": len(received)}

    @made.post("/unsure")
    async def unsure() -> None:
        received.append(b"")
        raise come_again("Not accepted for sure", "Kafka did not confirm in time.")

    @made.get("/page")
    async def page() -> Response:
        return Response("<h1>Hello</h1>", media_type="text/html")

    return made


async def test_an_answer_is_its_json_and_no_content_is_none() -> None:
    async with serving(app()) as url, ServiceClient(url + "/") as client:
        assert await client.ask("GET", "/fine") == {"is": "fine"}
        assert await client.ask("GET", "/nothing") is None


async def test_a_problem_says_its_detail_and_keeps_what_else_it_names() -> None:
    async with serving(app()) as url, ServiceClient(url) as client:
        with pytest.raises(ServiceRefused, match=r"^cycle-7 is under way. Wait for it.$") as refused:
            await client.ask("GET", "/problem")
    assert (refused.value.status, refused.value.body["cycle_id"]) == (409, "cycle-7")
    assert not refused.value.is_for_now


async def test_an_error_that_is_none_of_ours_is_said_by_its_status() -> None:
    async with serving(app()) as url, ServiceClient(url) as client:
        with pytest.raises(ServiceRefused, match="answered 502 Bad Gateway") as refused:
            await client.ask("GET", "/foreign")
    assert refused.value.is_for_now


async def test_a_page_in_place_of_an_answer_is_nobody_we_know() -> None:
    async with serving(app()) as url, ServiceClient(url) as client:
        with pytest.raises(ServiceAway, match=url):
            await client.ask("GET", "/page")


async def test_a_proxy_in_the_environment_does_not_catch_what_goes_to_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    async with serving(app()) as url:
        for address in (url, url.replace("127.0.0.1", "localhost")):
            async with ServiceClient(address) as client:
                assert await client.ask("GET", "/fine") == {"is": "fine"}
    async with ServiceClient("http://tuneloop.example") as client:
        with pytest.raises(ServiceAway, match="connection refused"):  # by the proxy: that is followed
            await client.ask("GET", "/fine")


async def test_a_key_goes_to_another_machine_by_tls_alone_unless_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")  # nothing leaves this machine
    url = "http://127.0.0.1.tuneloop.example"
    for own, given in (("tl_key", ""), ("", "tl_key")):
        async with ServiceClient(url, key=own) as client:
            with pytest.raises(CannotUseTls, match=r"by https://, or set HTTP_PLAIN=true"):
                await client.ask("GET", "/fine", key=given)
        async with ServiceClient(url, key=own, plain=True) as client:
            with pytest.raises(ServiceAway):
                await client.ask("GET", "/fine", key=given)
    async with ServiceClient(url) as client:
        with pytest.raises(ServiceAway):  # there is no key that could be read
            await client.ask("GET", "/fine")


async def test_a_path_that_nobody_knows_asks_whether_the_address_is_meant() -> None:
    async with serving(app()) as url, ServiceClient(url) as client:
        with pytest.raises(ServiceRefused, match=r"404 Not Found to /workloads: is it the address"):
            await client.ask("GET", "/workloads")


def a_file() -> FormData:
    form = FormData()
    form.add_field("rows", b"text,label", filename="rows.csv")
    return form


async def test_what_a_service_does_not_take_yet_is_sent_again_whole() -> None:
    for sent in ({"body": {"name": "ada"}}, {"form": a_file}):
        made = app()
        async with serving(made) as url, ServiceClient(url, patience_seconds=30) as client:
            assert await client.ask("POST", "/starting", **sent) == {"tries": 3}
        assert {b"ada" in body or b"text,label" in body for body in made.state.received} == {True}


async def test_without_patience_it_is_sent_once_and_so_is_what_may_have_been_done() -> None:
    for path, patience in (("/starting", 0.0), ("/unsure", 30.0)):
        made = app()
        async with serving(made) as url, ServiceClient(url, patience_seconds=patience) as client:
            with pytest.raises(ServiceRefused):
                await client.ask("POST", path)
        assert len(made.state.received) == 1


async def test_patience_has_an_end() -> None:
    made = FastAPI()
    answer_with_problems(made)

    @made.post("/starting")
    async def starting() -> None:
        raise not_taken("Starting", "Send the same again in a moment.")

    async with serving(made) as url, ServiceClient(url, patience_seconds=0.5) as client:
        with pytest.raises(ServiceRefused, match="in a moment"):
            await client.ask("POST", "/starting")
