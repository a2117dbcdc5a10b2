"""A request's body: bounded before it is read, typed as it is parsed, and refused as a problem."""

from __future__ import annotations

from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from shared.events.envelope import complaint
from shared.problems import Problem

M = TypeVar("M", bound=BaseModel)


async def body_of(request: Request, most_bytes: int) -> bytes:
    """The whole body. Raises Problem 413 as soon as it is known to be longer than `most_bytes`."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most_bytes:
        raise _too_large(most_bytes)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most_bytes:
            raise _too_large(most_bytes)
        parts.append(part)
    return b"".join(parts)


def parsed(kind: type[M], body: bytes) -> M:
    """The body as a `kind`. Raises Problem: 400 for what is no JSON, 422 for JSON of another shape."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise problem_of(error) from None


def problem_of(error: ValidationError) -> Problem:
    """Says which field is wrong, and never what was in it."""
    rows = error.errors(include_url=False, include_input=False, include_context=False)
    if rows[0]["type"] == "json_invalid":
        return Problem(400, "Invalid JSON", f"The body is not JSON: {rows[0]['msg']}.")
    fields = [
        {"field": ".".join(map(str, row["loc"])) or "body", "problem": row["msg"]} for row in rows[:100]
    ]
    return Problem(422, "Invalid input", complaint(error)[:2000], param=fields[0]["field"], errors=fields)


def _too_large(most_bytes: int) -> Problem:
    return Problem(413, "Body too large", f"Send at most {most_bytes} bytes in one request.")
