"""Several model servers asked as one: real ones, of which one dies, joins, lacks what the others have."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.files import Files
from shared.files.store import Store
from shared.model_server import (
    AdapterNotFound,
    ModelServer,
    ModelServerDown,
    ModelServerRefused,
    Served,
    ServerLimits,
    UnknownModel,
    fleet,
)
from shared.model_server.addresses import Address, addresses_of, is_one_address, urls_in
from shared.model_server.answers import limits
from shared.model_server.choice import choice
from shared.model_server.fleet import Fleet
from shared.model_server.this_server import ThisServer
from tests.servers.model import MODEL, free_port, lora_adapter, model_server
from tests.servers.s3 import BUCKET, s3_server

ALLOWED = [330, 354]


@dataclass
class Facts:
    models: set[str] = field(default_factory=lambda: {"m"})
    down_until: float = 0.0
    in_flight: int = 0


# which one is asked


def test_the_least_busy_one_that_has_the_model_is_asked() -> None:
    lacks, busy, idle = Facts(models=set()), Facts(in_flight=1), Facts()
    assert choice([lacks, busy, idle], "m", 0.0, []) is idle
    assert choice([lacks], "m", 0.0, []) is None


def test_one_that_was_down_just_now_is_asked_when_nobody_else_is_left() -> None:
    down, busy = Facts(down_until=5.0), Facts(in_flight=9)
    assert choice([down, busy], "m", 4.0, []) is busy
    assert choice([down, busy], "m", 4.0, [busy]) is down
    assert choice([down, busy], "m", 4.0, [busy, down]) is None
    assert choice([down, busy], "m", 6.0, []) is down


# what MODELS_URL names


def test_urls_are_separated_by_commas() -> None:
    assert urls_in(" http://a:1/ , http://b:2,") == ["http://a:1", "http://b:2"]
    assert urls_in("") == [""]


@pytest.mark.parametrize(
    ("url", "is_one"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://[::1]:8000", True),
        ("http://localhost:8000", True),
        ("http://vllm:8000", False),
        ("https://models.example.org", False),
    ],
)
def test_a_name_may_stand_for_several_and_an_address_does_not(url: str, is_one: bool) -> None:
    assert is_one_address(url) is is_one


def resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """The name service, which is not ours."""

    async def getaddrinfo(self: object, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        if not addresses:
            raise socket.gaierror(-2, "Name or service not known")
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, 1, 6, "", (each, port)) for each in addresses
        ]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)


async def test_each_address_of_a_name_is_one_server_under_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    resolves_to(monkeypatch, "10.0.0.2", "10.0.0.1", "fd00::1")
    assert await addresses_of("http://vllm:8000") == [
        Address("http://10.0.0.1:8000", "vllm:8000"),
        Address("http://10.0.0.2:8000", "vllm:8000"),
    ]
    assert (await addresses_of("https://vllm"))[0] == Address("https://10.0.0.1", "vllm", "vllm")
    resolves_to(monkeypatch, "fd00::2", "fd00::1")
    assert (await addresses_of("http://vllm:8000"))[0].url == "http://[fd00::1]:8000"
    resolves_to(monkeypatch, "10.0.0.1")
    assert await addresses_of("http://vllm:8000") == [Address("http://vllm:8000")]


# real servers


@dataclass
class Server:
    """A model server that a test may stop and start again at its address."""

    port: int = field(default_factory=free_port)
    _running: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._running.enter_context(model_server("--max-loras", "3", port=self.port))

    def stop(self) -> None:
        self._running.close()


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Server, Server]]:
    both = Server(), Server()
    for server in both:
        server.start()
    yield both
    for server in both:
        server.stop()


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "LOOK_AGAIN_SECONDS", 0.2)
    monkeypatch.setattr(fleet, "DOWN_SECONDS", 0.2)


@pytest.fixture
async def models(servers: tuple[Server, Server]) -> AsyncIterator[ModelServer]:
    for server in servers:
        async with ModelServer(server.url) as one:
            for name in await one.loaded() - {MODEL}:
                await one.unload_adapter(name)
    async with ModelServer(",".join(server.url for server in servers)) as both:
        yield both


async def loaded_on(server: Server) -> set[str]:
    async with ModelServer(server.url) as one:
        return await one.loaded()


@contextmanager
def noted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """(server, model) of each answer that is asked for."""
    asked: list[tuple[str, str]] = []
    request = aiohttp.ClientSession.request

    def note(self: aiohttp.ClientSession, method: str, url: str, **options: object) -> object:
        body = options.get("json")
        if url.endswith("/completions") and isinstance(body, dict):
            asked.append((url.removesuffix("/v1/completions"), str(body["model"])))
        return request(self, method, url, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(aiohttp.ClientSession, "request", note)
        yield asked


async def test_an_adapter_is_loaded_on_each_and_unloaded_from_each(
    servers: tuple[Server, Server], models: ModelServer
) -> None:
    await models.load_adapter("one", lora_adapter(1))
    await models.load_adapter("one", lora_adapter(1))
    assert [await loaded_on(server) for server in servers] == [{MODEL, "one"}] * 2
    assert await models.loaded() == {MODEL, "one"}
    assert await models.base_models() == {MODEL: 8192}
    await models.unload_adapter("one")
    await models.unload_adapter("one")
    assert [await loaded_on(server) for server in servers] == [{MODEL}] * 2
    with pytest.raises(UnknownModel):
        await models.score("one", "parcel", ALLOWED)


async def test_what_every_server_takes_is_the_lowest_that_one_tells(models: ModelServer) -> None:
    assert await models.limits() == ServerLimits(max_logprobs=512, max_lora_rank=64, max_loras=3)
    told = [ServerLimits(512, 64), ServerLimits(128), ServerLimits()]
    assert ServerLimits.lowest(told) == ServerLimits(128, 64)
    assert ServerLimits.lowest([]) == ServerLimits()


async def test_a_server_that_tells_no_limits_is_left_to_the_settings() -> None:
    card = {"id": MODEL, "parent": None, "max_model_len": 8192}
    assert limits({"data": [card]}) == ServerLimits()


async def test_an_adapter_is_loaded_only_where_its_base_model_is(
    servers: tuple[Server, Server], models: ModelServer
) -> None:
    with model_server(name="Another") as url:
        async with ModelServer(f"{servers[0].url},{url}") as both, ModelServer(url) as other:
            assert await both.base_models() == {MODEL: 8192, "Another": 8192}
            await both.load_adapter("one", lora_adapter(1), MODEL)
            assert await loaded_on(servers[0]) == {MODEL, "one"}
            assert await other.loaded() == {"Another"}
            await both.score("one", "parcel", ALLOWED)
            await both.score("Another", "parcel", ALLOWED)
            with pytest.raises(ModelServerDown, match="no model server with Third answers"):
                await both.load_adapter("two", lora_adapter(2), "Third")


async def test_answers_come_from_both_and_are_the_same(
    servers: tuple[Server, Server], models: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await models.load_adapter("one", lora_adapter(1))
    with noted(monkeypatch) as asked:
        scored = [await models.score("one", "parcel", ALLOWED) for _ in range(4)]
    assert {url for url, _ in asked} == {server.url for server in servers}
    assert len({tuple(sorted(one.logprobs.items())) for one in scored}) == 1


async def test_one_that_lacks_the_adapter_is_not_asked_and_gets_it(
    servers: tuple[Server, Server], models: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await models.load_adapter("one", lora_adapter(1))
    async with ModelServer(servers[0].url) as other:
        await other.unload_adapter("one")  # as if it had been started anew
    await models.score(MODEL, "parcel", ALLOWED)
    await asyncio.sleep(0.3)
    await models.score(MODEL, "parcel", ALLOWED)  # old enough: somebody looks
    await until(lambda: "one" in _known(models, servers[0]))
    assert await loaded_on(servers[0]) == {MODEL, "one"}
    with noted(monkeypatch) as asked:
        for _ in range(4):
            await models.score("one", "parcel", ALLOWED)
    assert {url for url, _ in asked} == {server.url for server in servers}


def _known(models: ModelServer, server: Server) -> set[str]:
    assert isinstance(models._servers, Fleet)
    return next(one.models for one in models._servers._replicas if one.address.url == server.url)


async def until(condition: object, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


async def test_one_that_dies_stops_nobody_and_gets_what_it_lacks_before_it_is_asked_again(
    servers: tuple[Server, Server], models: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await models.load_adapter("one", lora_adapter(1))
    servers[0].stop()
    answers = [await models.score("one", "parcel", ALLOWED) for _ in range(6)]
    assert len(answers) == 6
    await models.load_adapter("two", lora_adapter(2))  # while the other one is away
    await models.unload_adapter("one")
    assert await models.loaded() == {MODEL, "two"}
    await asyncio.to_thread(servers[0].start)
    with noted(monkeypatch) as asked:
        end = time.monotonic() + 20
        while servers[0].url not in {url for url, _ in asked}:
            await models.score("two", "parcel", ALLOWED)
            assert time.monotonic() < end
    assert await loaded_on(servers[0]) == {MODEL, "two"}


async def test_one_that_missed_the_unloading_drops_the_adapter_when_it_is_back(
    servers: tuple[Server, Server], models: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await models.load_adapter("one", lora_adapter(1))
    assert isinstance(models._servers, Fleet)
    unreachable = models._servers._replicas[0]
    with monkeypatch.context() as patch:
        patch.setattr(unreachable, "address", Address("http://127.0.0.1:1"))
        patch.setattr(models._servers, "_resolve", _stays)
        patch.setattr(
            models._servers,
            "_addresses",
            {one.address.url: [one.address] for one in models._servers._replicas},
        )
        await models.unload_adapter("one")
    assert "one" in {name for server in servers for name in await loaded_on(server)}
    await asyncio.sleep(0.3)
    await models.score(MODEL, "parcel", ALLOWED)
    await until(lambda: not any("one" in _known(models, server) for server in servers))
    assert [await loaded_on(server) for server in servers] == [{MODEL}] * 2


async def _stays(_: str) -> None:
    return None


class DoesNotFit(Exception):
    """What the tests' proof raises."""


async def test_an_adapter_is_loaded_only_on_the_servers_it_is_proved_to_fit(
    servers: tuple[Server, Server], models: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for port, other in ((servers[0].port, servers[1]), (servers[1].port, servers[0])):
        [token] = await models.tokenize(MODEL, " A")

        async def prove(server: Served, port: int = port, token: int = token) -> None:
            assert isinstance(server, ThisServer)
            assert await server.tokenize(MODEL, " A") == [token]
            assert (await server.limits()).max_loras == 3
            if server.replica.address.url.endswith(f":{port}"):
                raise DoesNotFit("another tokenizer")

        await models.load_adapter("one", lora_adapter(1), MODEL, prove)
        assert await loaded_on(other) == {MODEL, "one"}
        with noted(monkeypatch) as asked:
            for _ in range(3):
                await models.score("one", "parcel", ALLOWED)
        assert {url for url, _ in asked} == {other.url}
        await models.unload_adapter("one")

    async def prove_nothing(_: Served) -> None:
        raise DoesNotFit("anywhere")

    with pytest.raises(DoesNotFit):
        await models.load_adapter("two", lora_adapter(2), MODEL, prove_nothing)
    assert [await loaded_on(server) for server in servers] == [{MODEL}] * 2


async def test_one_that_lost_the_adapter_gets_it_again_only_if_it_is_proved_again(
    servers: tuple[Server, Server], models: ModelServer
) -> None:
    is_proved, proofs = True, 0

    async def prove(_: Served) -> None:
        nonlocal proofs
        proofs += 1
        if not is_proved:
            raise DoesNotFit("its files changed")

    await models.load_adapter("one", lora_adapter(1), MODEL, prove)
    is_proved = False
    async with ModelServer(servers[0].url) as other:
        await other.unload_adapter("one")  # as if it had been started anew
    await until_looked(models, lambda: proofs > 3)
    assert await loaded_on(servers[0]) == {MODEL}
    is_proved = True
    await until_looked(models, lambda: "one" in _known(models, servers[0]))
    assert await loaded_on(servers[0]) == {MODEL, "one"}


async def until_looked(models: ModelServer, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await models.score("one", "parcel", ALLOWED)
            await asyncio.sleep(0.05)


async def test_what_no_server_finds_says_what_to_set(
    models: ModelServer, servers: tuple[Server, Server]
) -> None:
    async with ModelServer(servers[0].url) as alone:
        for client in (models, alone):
            with pytest.raises(AdapterNotFound, match="MODELS_FILES_FOLDER") as raised:
                await client.load_adapter("lost", Path("/no/such/mount/adapters/lost"))
            assert "/no/such/mount/adapters/lost" in str(raised.value)
            assert isinstance(
                raised.value, ModelServerDown
            )  # whoever waits for the server waits for the mount


async def test_an_adapter_in_an_object_store_is_loaded_from_where_the_server_sees_the_bucket(
    models: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = tmp_path / "mnt"
    with s3_server() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        root = f"s3://{BUCKET}/files"
        files = Files(root, tmp_path / "cache", f"{mount}/files")
        adapter = files.freeze_adapter("two", lora_adapter(2), MODEL)
        folder = files.folder_for_models(adapter, await asyncio.to_thread(files.adapter_folder, adapter))
        with pytest.raises(AdapterNotFound, match=str(mount)):
            await models.load_adapter(adapter.name, folder)
        store = Store(root)
        for name in store.names_below(store.root):  # what mounting the bucket does
            store.fetch(f"{store.root}/{name}", mount / "files" / name)
        await models.load_adapter(adapter.name, folder)
    assert folder == mount / "files" / "adapters" / adapter.name
    await models.score(adapter.name, "parcel", ALLOWED)


async def test_what_is_no_adapter_is_refused_by_all(models: ModelServer, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(ModelServerRefused):
        await models.load_adapter("broken", tmp_path)


async def vllm_that_cannot_load(said: str) -> TestServer:
    """Answers as vLLM 0.32 did."""

    async def listing(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": MODEL, "parent": None, "max_model_len": 8192}]})

    async def load(_: web.Request) -> web.Response:
        error = {"message": said, "type": "InternalServerError", "param": None, "code": 500}
        return web.json_response({"error": error}, status=500)

    app = web.Application()
    app.add_routes([web.get("/v1/models", listing), web.post("/v1/load_lora_adapter", load)])
    return TestServer(app)


@pytest.mark.parametrize("beside", ["", ",http://127.0.0.1:9"], ids=["one server", "a fleet"])
async def test_an_adapter_that_vllm_cannot_load_is_refused_with_its_reason_and_not_waited_for(
    beside: str,
) -> None:
    said = "Call to add_lora method failed: LoRA rank 68 is greater than max_lora_rank 64."
    async with (
        await vllm_that_cannot_load(said) as server,
        ModelServer(str(server.make_url("")) + beside) as models,
    ):
        with pytest.raises(ModelServerRefused, match="rank 68 is greater than max_lora_rank 64"):
            await models.load_adapter("wide", Path("/files/adapters/wide"))


async def test_nobody_there_is_said_with_where_was_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    urls = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
    async with ModelServer(",".join(urls)) as models:
        for asks in (models.loaded(), models.score("m", "x", ALLOWED), models.load_adapter("a", Path("/a"))):
            with pytest.raises(ModelServerDown, match=urls[1]):
                await asks
    resolves_to(monkeypatch)
    async with ModelServer("http://no-such-name:8000") as models:
        with pytest.raises(ModelServerDown, match="no-such-name"):
            await models.score("m", "x", ALLOWED)


async def test_two_that_load_the_same_adapter_at_once_both_succeed(
    servers: tuple[Server, Server], models: ModelServer
) -> None:
    urls = ",".join(server.url for server in servers)
    async with ModelServer(urls) as other, ModelServer(servers[0].url) as alone:
        await asyncio.gather(*(one.load_adapter("two", lora_adapter(2)) for one in (models, other, alone)))
    assert [await loaded_on(server) for server in servers] == [{MODEL, "two"}] * 2


async def test_at_rest_nobody_is_asked(models: ModelServer) -> None:
    await models.score(MODEL, "parcel", ALLOWED)
    servers = models._servers
    assert isinstance(servers, Fleet)
    await until(lambda: servers._looking is None)
    looked_at = servers._looked_at
    await asyncio.sleep(0.6)
    assert (servers._looking, servers._looked_at) == (None, looked_at)
