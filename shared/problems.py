"""HTTP errors as RFC 9457 problem+json: what happened and what to do."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException


class Problem(Exception):
    """Answered as application/problem+json. `detail` says what to do next."""

    def __init__(
        self, status: int, title: str, detail: str, *, headers: dict[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.headers, self.more = status, title, detail, headers, more

    def response(self) -> JSONResponse:
        body = {"type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail}
        return JSONResponse(
            body | self.more, self.status, headers=self.headers, media_type="application/problem+json"
        )


def answer_with_problems(app: FastAPI) -> None:
    """Makes every error of the app a problem+json, the framework's own included."""

    @app.exception_handler(Problem)
    async def on_problem(_: Request, problem: Problem) -> JSONResponse:
        return problem.response()

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        rows = [
            {"field": ".".join(map(str, row["loc"][1:])) or "body", "problem": row["msg"]}
            for row in error.errors()
        ]
        said = "; ".join(f"{row['field']}: {row['problem']}" for row in rows)
        return Problem(422, "Invalid input", said, errors=rows).response()

    @app.exception_handler(HTTPException)
    async def on_http(_: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers) if error.headers else None
        return Problem(error.status_code, str(error.detail), str(error.detail), headers=headers).response()

    @app.exception_handler(Exception)
    async def on_anything_else(_: Request, error: Exception) -> JSONResponse:
        return Problem(
            500, "Internal error", "The request failed for a reason of ours. It is logged; try again later."
        ).response()
