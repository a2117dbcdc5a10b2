"""Beside the console's pages, which take every path that is left, a program is never answered with a page."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from services.console.app import build
from shared.addresses import Addresses
from shared.clickhouse import clickhouse_at
from shared.events import Event
from shared.files import Files
from shared.http_conventions import HttpSettings, follow_http_conventions
from shared.model_server import ModelServer
from shared.problems import answer_with_problems
from shared.service import ServiceContext
from tests.services.console.examples import NOW


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """The console beside a route of another service. A process mounts its pages once."""

    async def publish(*_: Event) -> None:
        raise AssertionError("the console publishes nothing")

    folder = tmp_path_factory.mktemp("console")
    context = ServiceContext(
        Addresses(),
        publish,
        clickhouse_at("http://nobody@127.0.0.1:1/none"),
        Files(folder.as_uri(), folder),
        ModelServer("http://127.0.0.1:1"),
        lambda: NOW,
        CollectorRegistry(),
        folder,
    )
    app = FastAPI()
    answer_with_problems(app)
    app.add_api_route("/workloads/{name}", lambda name: name, methods=["GET"])
    mount = build(context).mount
    assert mount is not None
    mount(app)
    follow_http_conventions(app, HttpSettings())
    return app


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://console") as client:
        yield client


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/workload", "/workloads/tickets/x", "/candidates/a/b", "/_nicegui/x"])
async def test_a_program_at_a_wrong_path_reads_a_problem(
    http: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await http.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_a_program_with_the_wrong_method_reads_which_are_right(http: httpx.AsyncClient) -> None:
    answer = await http.post("/workloads/tickets", json={})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_a_browser_at_a_wrong_path_shows_a_page(http: httpx.AsyncClient) -> None:
    answer = await http.get("/workload", headers={"accept": "text/html,*/*;q=0.8"})
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
