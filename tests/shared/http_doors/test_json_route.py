"""JSON is bounded before it is read, on every route of every service."""

from __future__ import annotations

import ast
import gzip
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel

from shared.http_doors.json_route import JsonRoute
from shared.problems import answer_with_problems
from tests.servers.model import ROOT

TAKE_BODIES = ("post", "put", "patch", "delete")
JSON = {"content-type": "application/json"}


class Thing(BaseModel):
    size: int


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    answer_with_problems(app)
    router = APIRouter(route_class=JsonRoute)

    @router.post("/things")
    async def add(thing: Thing) -> int:
        return thing.size

    app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://things") as client:
        yield client


async def test_what_is_not_too_large_is_read_also_as_gzip(http: httpx.AsyncClient) -> None:
    body = json.dumps({"size": 1}).encode()
    assert (await http.post("/things", content=body, headers=JSON)).json() == 1
    zipped = JSON | {"content-encoding": "gzip"}
    assert (await http.post("/things", content=gzip.compress(body), headers=zipped)).json() == 1


@pytest.mark.parametrize("headers", [JSON, JSON | {"content-encoding": "gzip"}])
async def test_what_is_too_large_is_413_before_and_after_inflation(
    http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    body = b'{"size": 1, "more": "' + b"a" * JsonRoute.most_bytes + b'"}'
    content = gzip.compress(body) if "content-encoding" in headers else body
    answer = await http.post("/things", content=content, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


async def test_a_body_of_another_type_is_415_and_none_at_all_is_422(http: httpx.AsyncClient) -> None:
    assert (await http.post("/things", content=b'{"size": 1}')).status_code == 415
    assert (await http.post("/things")).status_code == 422


def takes_bodies_without_bounds(function: ast.AST) -> bool:
    """Whether it makes a router and routes that take bodies, with no bound on their size."""
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    routers = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "APIRouter"]
    is_bounded = any(one.arg == "route_class" for router in routers for one in router.keywords)
    takes = any(isinstance(call.func, ast.Attribute) and call.func.attr in TAKE_BODIES for call in calls)
    return bool(routers) and takes and not is_bounded


def functions_without_bounds(source: str) -> list[str]:
    functions = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    return [function.name for function in functions if takes_bodies_without_bounds(function)]


def test_no_router_takes_bodies_without_bounds() -> None:
    modules = {path: path.read_text("utf-8") for path in (ROOT / "services").rglob("*.py")}
    assert [path for path, source in modules.items() if functions_without_bounds(source)] == []
    planted = "def routes():\n router = APIRouter()\n @router.post('/things')\n def add(thing: Thing): ..."
    assert functions_without_bounds(planted) == ["routes"]
