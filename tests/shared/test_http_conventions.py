"""Every process speaks HTTP as programs expect it, whatever it serves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Response
from pydantic import BaseModel, ValidationError
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from shared.http_conventions import HttpSettings, follow_http_conventions
from shared.problems import Problem, answer_with_problems

Client = Callable[..., httpx.AsyncClient]
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Thing(BaseModel):
    size: int


def routes() -> APIRouter:
    router = APIRouter()

    @router.get("/things")
    async def things() -> list[str]:
        return ["one", "two"]

    @router.post("/things")
    async def add(thing: Thing) -> int:
        return thing.size

    @router.get("/things/{name}")
    async def thing(name: str) -> str:
        if name == "broken":
            raise RuntimeError("the password is 123")
        raise Problem(404, "Unknown thing", "There are: one, two.", code="no_such_thing", param="name")

    @router.post("/v1/things/{name}")
    async def ask(name: str, thing: Thing) -> Response:
        raise Problem(503, "Away", "Come again.", headers={"Retry-After": "2"})

    return router


async def pages(scope: Scope, receive: Receive, send: Send) -> None:
    """As NiceGUI does: it takes every path that is left, and answers with a page."""
    is_there = scope["path"] == "/" and scope["method"] == "GET"
    answer = HTMLResponse("<h1>Loop</h1>" if is_there else "<h1>Not found</h1>", 200 if is_there else 404)
    await answer(scope, receive, send)


def app_with(*, has_pages: bool, cors_origins: str = "") -> FastAPI:
    app = FastAPI()
    answer_with_problems(app)
    app.include_router(routes())
    if has_pages:
        app.mount("/", pages)
    follow_http_conventions(app, HttpSettings(cors_origins=cors_origins))
    return app


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://things") as client:
        yield client


@pytest.fixture(params=[False, True], ids=["routes alone", "beside pages"])
async def http(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app_with(has_pages=request.param)) as client:
        yield client


async def test_head_is_answered_wherever_get_is_without_a_body(http: httpx.AsyncClient) -> None:
    asked, headed = await http.get("/things"), await http.head("/things")
    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["content-length"] == str(len(asked.content))
    refused = await http.head("/things/three")
    assert (refused.status_code, refused.content) == (404, b"")


async def test_a_page_answers_head_too() -> None:
    async with client_of(app_with(has_pages=True)) as http:
        answer = await http.head("/")
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/things", "GET, HEAD, POST"),
        ("POST", "/things/one", "GET, HEAD"),
        ("GET", "/v1/things/one", "POST"),
        ("HEAD", "/v1/things/one", "POST"),
    ],
)
async def test_a_method_that_a_path_does_not_take_is_told_all_that_it_takes(
    http: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    for headers in ({}, BROWSER):
        answer = await http.request(method, path, headers=headers)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
        assert answer.headers["content-type"] == "application/problem+json"
        assert method == "HEAD" or answer.json()["detail"] == f"This path takes {allowed}."


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/thing", "/things/one/two", "/v1/thing", "/v1"])
async def test_a_wrong_path_is_a_problem_for_a_program(
    http: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await http.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["status"] == 404
    assert ("error" in answer.json()) == path.startswith("/v1/")


async def test_a_person_with_a_browser_gets_a_page_for_a_wrong_path() -> None:
    async with client_of(app_with(has_pages=True)) as http:
        answer = await http.get("/thing", headers=BROWSER)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")


async def test_below_v1_an_error_has_openais_shape_as_well(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/things/one", json={"size": 1})
    assert answer.headers["retry-after"] == "2"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Away",
        "status": 503,
        "detail": "Come again.",
        "error": {"message": "Come again.", "type": "server_error", "param": None, "code": None},
    }
    invalid = (await http.post("/v1/things/one", json={"size": "big"})).json()
    assert invalid["error"]["type"] == "invalid_request_error"
    assert invalid["error"]["param"] == invalid["param"] == "size"
    assert "big" not in invalid["error"]["message"]


async def test_a_problem_names_what_it_is_about_for_programs(http: httpx.AsyncClient) -> None:
    answer = (await http.get("/things/three")).json()
    assert (answer["code"], answer["param"]) == ("no_such_thing", "name")
    assert "error" not in answer


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
async def test_a_body_that_does_not_say_it_is_json_is_415(
    http: httpx.AsyncClient, content_type: str | None
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = await http.post("/things", content=b'{"size": 1}', headers=headers)
    assert (answer.status_code, answer.headers["accept"]) == (415, "application/json")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/merge-patch+json"])
async def test_json_by_any_of_its_names_is_taken(http: httpx.AsyncClient, content_type: str) -> None:
    answer = await http.post("/things", content=b'{"size": 1}', headers={"content-type": content_type})
    assert answer.status_code == 200, answer.text


async def test_no_body_at_all_is_no_matter_of_its_type(http: httpx.AsyncClient) -> None:
    assert (await http.post("/things")).status_code == 422


async def test_a_fault_of_ours_tells_nothing_about_itself(http: httpx.AsyncClient) -> None:
    answer = await http.get("/things/broken")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "123" not in answer.text


PREFLIGHT = {"origin": "https://app.example.org", "access-control-request-method": "POST"}


async def test_no_origin_is_allowed_unless_it_is_set(http: httpx.AsyncClient) -> None:
    answer = await http.get("/things", headers={"origin": "https://app.example.org"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert (await http.options("/things", headers=PREFLIGHT)).status_code == 405


async def test_an_origin_that_is_set_may_ask_and_read_the_predictions_id() -> None:
    origins = "https://app.example.org,http://localhost:3000"
    async with client_of(app_with(has_pages=True, cors_origins=origins)) as http:
        preflight = await http.options(
            "/things", headers={**PREFLIGHT, "access-control-request-headers": "x-stainless-lang"}
        )
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-headers"] == "x-stainless-lang"
        refused = await http.get("/things/three", headers={"origin": "https://app.example.org"})
        assert refused.headers["access-control-allow-origin"] == "https://app.example.org"
        assert "x-tuneloop-prediction-id" in refused.headers["access-control-expose-headers"]
        other = await http.get("/things", headers={"origin": "https://evil.example.org"})
        assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    "origins", ["app.example.org", "https://app.example.org/", "https://a.org, https://b.org"]
)
def test_what_is_no_origin_is_refused_at_the_start(origins: str) -> None:
    with pytest.raises(ValidationError):
        HttpSettings(cors_origins=origins)


async def test_the_document_says_what_errors_look_like() -> None:
    document = app_with(has_pages=False).openapi()
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["responses"]["4XX"]["content"].keys() == {"application/problem+json"}
            assert "Retry-After" in operation["responses"]["503"]["headers"]
    assert "HTTPValidationError" not in str(document)
