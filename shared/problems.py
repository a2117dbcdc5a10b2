"""HTTP errors as RFC 9457 problem+json: what happened and what to do; under /v1 in OpenAI's shape as well."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"
OPENAI = "/v1/"
"""Below it clients of OpenAI's API read `error.message`, `error.type`, `error.param` and `error.code`."""
UNKNOWN_PATH = "unknown_path"
"""The `code` of a 404 that says nothing of what is asked for: the service has no such path."""
NOT_TAKEN = "not_taken"
"""The `code` of a 503 before anything was done: even what must not be done twice may be sent again."""


class Problem(Exception):
    """Answered as application/problem+json. `detail` says what to do next.

    `code` is a word for programs, `param` the field that it is about; `more` are further members.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        code: str | None = None,
        param: str | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.headers = status, title, detail, headers
        self.code, self.param, self.more = code, param, more

    def response(self, path: str) -> JSONResponse:
        """What a request for `path` is answered."""
        body = {"type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail}
        named = {"code": self.code, "param": self.param}
        body |= {name: value for name, value in named.items() if value is not None}
        if path.startswith(OPENAI):
            body["error"] = {"message": self.detail, "type": _openai_type(self.status), **named}
        return JSONResponse(body | self.more, self.status, headers=self.headers, media_type=MEDIA_TYPE)


def answer_with_problems(app: FastAPI) -> None:
    """Makes every error of the app a problem+json, the framework's own included. Before routes are added."""
    app.router.responses |= {"4XX": _described("What is wrong with the request."), 503: _COME_AGAIN}

    @app.exception_handler(Problem)
    async def on_problem(request: Request, problem: Problem) -> JSONResponse:
        return problem.response(request.url.path)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return _invalid(request, error).response(request.url.path)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers) if error.headers else None
        if error.status_code == 404:
            return nothing_here().response(request.url.path)
        title = HTTPStatus(error.status_code).phrase
        return Problem(error.status_code, title, str(error.detail), headers=headers).response(
            request.url.path
        )


def come_again(title: str, detail: str, seconds: int = 2, **more: Any) -> Problem:
    """503: not now. The same may be sent again after so many seconds."""
    return Problem(503, title, detail, headers={"Retry-After": str(seconds)}, **more)


def not_taken(title: str, detail: str, seconds: int = 2) -> Problem:
    """Like `come_again`, before anything was done."""
    return come_again(title, detail, seconds, code=NOT_TAKEN)


def nothing_here() -> Problem:
    said = "Nothing is at this path; /docs lists what there is."
    return Problem(404, HTTPStatus.NOT_FOUND.phrase, said, code=UNKNOWN_PATH)


def wrong_method(allowed: str) -> Problem:
    """`allowed`: the methods that the path takes, separated by commas."""
    return Problem(
        405,
        HTTPStatus.METHOD_NOT_ALLOWED.phrase,
        f"This path takes {allowed}.",
        headers={"Allow": allowed},
    )


def wrong_content_type(*taken: str) -> Problem:
    """415, which also keeps out what a web page may send anywhere without being asked: text and forms."""
    return Problem(
        415,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE.phrase,
        f"Say what the body is: content-type {' or '.join(taken)}.",
        headers={"Accept": ", ".join(taken)},
    )


def is_json(content_type: str) -> bool:
    """Whether a Content-Type header says JSON: application/json, or anything that ends in +json."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _invalid(request: Request, error: RequestValidationError) -> Problem:
    found = error.errors()
    if any(row["loc"] == ("body",) and row["type"] != "missing" for row in found) and not is_json(
        request.headers.get("content-type", "")
    ):
        return wrong_content_type("application/json")
    rows = [
        {"field": ".".join(map(str, row["loc"][1:])) or "body", "problem": row["msg"]} for row in found[:100]
    ]
    said = "; ".join(f"{row['field']}: {row['problem']}" for row in rows)
    return Problem(422, "Invalid input", said[:2000], param=rows[0]["field"], errors=rows)


def _openai_type(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"


def _described(when: str) -> dict[str, Any]:
    """A response for OpenAPI's document."""
    members: dict[str, Any] = {
        "type": {"type": "string"},
        "title": {"type": "string", "description": "What happened."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What to do about it."},
        "code": {"type": "string", "description": "A word for programs."},
        "param": {"type": "string", "description": "The field that it is about."},
    }
    schema = {
        "title": "Problem",
        "description": "RFC 9457. It may have further members.",
        "type": "object",
        "properties": members,
        "required": ["type", "title", "status", "detail"],
    }
    return {"description": when, "content": {MEDIA_TYPE: {"schema": schema}}}


_COME_AGAIN = {
    **_described("Not now. Send the same again after `Retry-After` seconds."),
    "headers": {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}, "required": True}},
}
