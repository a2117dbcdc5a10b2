"""A request that gets no answer is told what to do, whatever is sick behind the gateway."""

from __future__ import annotations

import asyncio
import gzip
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.model_gateway.champion_alias import ChampionAlias
from shared.access.api_key import new_key
from shared.access.roles import Role
from shared.events import now
from shared.fields import FrozenAdapter
from shared.model_server import ModelServer
from tests.services.model_gateway.conftest import Gateway, Gateways, added, contract, promoted
from tests.shared.access.test_keys import made

JSON = {"content-type": "application/json"}
Freeze = Callable[[str, Path], FrozenAdapter]


@asynccontextmanager
async def sick_server(answer: bytes | None) -> AsyncIterator[str]:
    """A server that gives every request the same bytes; None: it takes the request and says nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()  # until the client goes
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def http(status: str, body: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n{body}".encode()


@pytest.fixture
def adapter(freeze: Freeze, tmp_path: Path) -> FrozenAdapter:
    folder = tmp_path / "trained"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    return freeze("tickets", folder)


async def over(gateways: Gateways, models_url: str, adapter: FrozenAdapter) -> Gateway:
    """A gateway whose kept alias says that the adapter serves."""
    alias = ChampionAlias(gateways.folder / "state" / "champion_alias.json")
    alias.workloads.apply(added())
    alias.switch_to(promoted(adapter), contract())
    await alias.keep()
    return await gateways(models_url)


async def test_an_unknown_workload_is_told_the_known_ones(gateways: Gateways) -> None:
    gateway = await gateways()
    await gateway.apply(added("tickets"), added("mail"))
    answer = await gateway.ask(model="gpt-4")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["known_workloads"] == ["mail", "tickets"]
    assert 'requests_total{status="404",workload="unknown"} 1.0' in gateway.metrics()


async def test_before_the_first_champion_an_app_is_told_to_come_back(gateways: Gateways) -> None:
    gateway = await gateways()
    await gateway.apply(added())
    answer = await gateway.ask()
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "training is under way" in answer.json()["detail"]
    assert (await gateway.http.get("/v1/models")).json()["data"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"", 400),
        (b'{"model": "tickets", "prompt": "\\ud800"}', 400),
        (b'{"model": "tickets", "prompt": "\xff"}', 400),
        (b'{"model": "tickets", "x": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", 400),
        (b"[]", 422),
        (b'{"model": "tickets"}', 422),
        (b'{"model": "tickets", "prompt": 7}', 422),
        (b'{"model": "tickets", "prompt": ["one", "two"]}', 422),
        (b'{"model": "tickets", "prompt": "one", "n": 2}', 422),
        (b'{"model": "tickets", "prompt": "  "}', 422),
        (b'{"model": "tickets", "prompt": "' + b"x" * 65_537 + b'"}', 413),
        (b" " * 2_000_000, 413),
    ],
)
async def test_a_request_that_is_none_gets_the_status_that_says_why(
    gateways: Gateways, body: bytes, status: int
) -> None:
    gateway = await gateways()
    await gateway.apply(added())
    answer = await gateway.http.post("/v1/completions", content=body, headers=JSON)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["error"]["message"] == answer.json()["detail"]
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_a_body_without_an_announced_length_is_bounded_too(gateways: Gateways) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65_536

    answer = await (await gateways()).http.post("/v1/completions", content=endless(), headers=JSON)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"model": "gpt-4"}, "model", "model_not_found"),
        ({"tools": [{"type": "function"}]}, "tools", "unsupported_parameter"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages[0].content", None),
        ({"messages": [{"role": "system", "content": "hi"}]}, "messages", None),
        (
            {"messages": [{"role": "user", "content": "x" * 65_537}]},
            "messages[0].content",
            "string_above_max_length",
        ),
        ({"stream": "perhaps"}, "stream", None),
    ],
)
async def test_a_refusal_names_the_field_and_the_reason_for_programs(
    gateways: Gateways, fields: dict[str, Any], param: str, code: str | None
) -> None:
    gateway = await gateways()
    await gateway.apply(added())
    answer = (await gateway.ask(**fields)).json()
    assert (answer["error"]["param"], answer["error"]["code"]) == (param, code)
    assert (answer["param"], answer.get("code")) == (param, code)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
async def test_what_a_web_page_may_send_anywhere_is_no_request(
    gateways: Gateways, content_type: str | None
) -> None:
    gateway = await gateways()
    await gateway.apply(added())
    headers = {"content-type": content_type} if content_type else {}
    answer = await gateway.http.post(
        "/v1/completions", content=b'{"model": "tickets", "prompt": "hi"}', headers=headers
    )
    assert (answer.status_code, answer.headers["accept"]) == (415, "application/json")


async def test_a_body_may_be_gzip_and_is_bounded_when_inflated(gateways: Gateways) -> None:
    gateway = await gateways()
    await gateway.apply(added())
    headers = JSON | {"content-encoding": "gzip"}
    for body, status in ((b'{"model": "mail", "prompt": "hi"}', 404), (b" " * 2_000_000, 413), (None, 400)):
        content = b"no gzip" if body is None else gzip.compress(body)
        answer = await gateway.http.post("/v1/completions", content=content, headers=headers)
        assert (answer.status_code, answer.json()["error"]["type"]) == (status, "invalid_request_error")


@pytest.mark.parametrize("key", ["", '""', "k" * 201, "schlüssel"])
async def test_a_key_that_is_none_is_refused(gateways: Gateways, key: str) -> None:
    gateway = await gateways()
    headers = [(b"idempotency-key", key.encode())]
    body = {"model": "tickets", "prompt": "hi"}
    answer = await gateway.http.post("/v1/completions", json=body, headers=headers)
    assert (answer.status_code, answer.json()["param"]) == (400, "Idempotency-Key")


async def test_a_model_that_is_not_listed_is_not_found_and_why(gateways: Gateways) -> None:
    gateway = await gateways()
    resting = added("rest", revision=2).model_copy(update={"retired_at": now()})
    await gateway.apply(added(), resting)
    for name, why in (("tickets", "no model"), ("rest", "retired"), ("gpt/4", "Known are: tickets")):
        answer = await gateway.http.get(f"/v1/models/{name}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
        assert why in answer.json()["error"]["message"]


async def test_a_dead_model_server_is_a_503_that_says_when_to_try_again(
    gateways: Gateways, adapter: FrozenAdapter
) -> None:
    answer = await (await over(gateways, "http://127.0.0.1:9", adapter)).ask()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (http("503 Service Unavailable", "{}"), 503),
        (http("404 Not Found", '{"error": {"message": "no such model"}}'), 503),
        (http("200 OK", '{"tokens": [1, 2]}'), 502),
        (http("400 Bad Request", '{"error": {"message": "maximum context length is 8192 tokens"}}'), 422),
        (http("400 Bad Request", '{"error": {"message": "no"}}'), 502),
        (http("200 OK", '{"surprise": true}'), 502),
        (http("200 OK", "not json"), 502),
        (b"\0\0\0", 503),
    ],
)
async def test_a_sick_model_server_makes_no_answer_and_no_500(
    gateways: Gateways, adapter: FrozenAdapter, reply: bytes, status: int
) -> None:
    async with sick_server(reply) as url:
        gateway = await over(gateways, url, adapter)
        answer = await gateway.ask()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert "x-tuneloop-prediction-id" not in answer.headers


async def test_a_hung_model_server_is_given_up(
    gateways: Gateways, adapter: FrozenAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_GATEWAY_ANSWER_SECONDS", "0.2")
    async with sick_server(None) as url:
        answer = await (await over(gateways, url, adapter)).ask()
    assert answer.status_code == 503


async def test_consuming_a_champion_never_waits_for_the_model_server(
    gateways: Gateways, adapter: FrozenAdapter
) -> None:
    async with sick_server(None) as url:
        gateway = await gateways(url)
        handler = gateway.service.consumes[type(promoted(adapter))]
        assert callable(handler)
        await asyncio.wait_for(handler(promoted(adapter)), timeout=1)


async def test_a_champion_whose_files_were_changed_is_refused_loudly(
    gateways: Gateways, adapter: FrozenAdapter, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    gateway = await gateways()
    (tmp_path / "files" / adapter.uri / "adapter_config.json").write_text('{"r": 999}')
    await gateway.apply(added(), promoted(adapter))
    assert "REFUSED" in caplog.text
    assert 'alias_switches_total{outcome="refused",workload="tickets"} 1.0' in gateway.metrics()
    await said_to_be_refused(gateway, "does not have its digest")


async def said_to_be_refused(gateway: Gateway, why: str) -> None:
    """And not to be loading: nobody is told to come back in a second."""
    answer = await gateway.ask()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert (answer.json()["code"], answer.json()["error"]["code"]) == ("champion_refused",) * 2
    assert why in answer.json()["detail"]
    assert "roll back (tuneloop rollback tickets)" in answer.json()["detail"]


@pytest.mark.parametrize("harm", ["changed", "gone"])
async def test_a_champion_that_its_server_forgot_and_whose_files_are_lost_is_not_said_to_be_loading(
    gateways: Gateways,
    adapter: FrozenAdapter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    harm: str,
) -> None:
    async def nothing(_: ModelServer) -> set[str]:
        return set()

    monkeypatch.setattr(ModelServer, "loaded", nothing)
    stored = tmp_path / "files" / adapter.uri
    if harm == "changed":
        (stored / "adapter_config.json").write_text('{"r": 999}')
    else:
        shutil.rmtree(stored)
    forgets = http("404 Not Found", '{"error": {"message": "no such model"}}')
    async with sick_server(forgets) as url:
        gateway = await over(gateways, url, adapter)
        await said_to_be_refused(gateway, "does not have its digest" if harm == "changed" else "is not at")


async def test_a_champion_that_nobody_refuses_is_being_loaded(
    gateways: Gateways, adapter: FrozenAdapter
) -> None:
    gateway = await gateways()
    await gateway.apply(added(), promoted(adapter))
    answer = await gateway.ask()
    assert (answer.status_code, answer.headers["retry-after"], answer.json()["title"]) == (
        503,
        "1",
        "Loading",
    )


async def test_a_retired_workload_is_neither_listed_nor_answered(gateways: Gateways) -> None:
    gateway = await gateways()
    resting = added(revision=2).model_copy(update={"retired_at": now()})
    await gateway.apply(added(), added("mail"), resting)
    answer = await gateway.ask()
    assert answer.status_code == 404
    assert "retired" in answer.json()["detail"]
    assert (await gateway.http.get("/v1/models")).json()["data"] == []
    assert (await gateway.ask(model="gpt-4")).json()["known_workloads"] == ["mail"]


async def test_a_key_for_one_workload_learns_the_names_of_no_other(gateways: Gateways) -> None:
    key = new_key()
    gateway = await gateways(keys=[made(key, role=Role.APP, workloads=["mine", "tickets"])])
    await gateway.apply(added(), added("theirs"))
    gateway.http.headers["authorization"] = f"Bearer {key.text}"
    for name, status in (("theirs", 403), ("nobodys", 403), ("mine", 404)):
        asked = await gateway.http.post("/v1/completions", json={"model": name, "prompt": "hi"})
        looked = await gateway.http.get(f"/v1/models/{name}")
        assert (asked.status_code, looked.status_code) == (status, status)
        assert "theirs" not in asked.text + looked.text
    assert "tickets" in asked.text
