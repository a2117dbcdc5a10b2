"""A request's body: bounded in bytes, before and after inflation, and in time; what is wrong is a problem."""

from __future__ import annotations

import asyncio
import zlib
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from shared.events.envelope import complaint
from shared.problems import Problem

BODY_SECONDS = 60.0  # a client that is slower holds a connection and memory for others
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF_8 = {"utf-8", "utf8", "us-ascii"}
GZIP = {"gzip", "x-gzip"}

M = TypeVar("M", bound=BaseModel)


async def body_of(request: Request, most_bytes: int, seconds: float = BODY_SECONDS) -> bytes:
    """The whole body, inflated if it is gzip, without a byte order mark.

    Raises Problem: 413 as soon as it is known to be longer than `most_bytes`, before or after inflation; 408
    when it does not come within `seconds`; 415 for another coding or charset than gzip and UTF-8; 400 for
    gzip that is none.
    """
    announced, coding = b"", "identity"
    for name, value in request.scope["headers"]:  # as ASGI has them, in small letters: one look, not three
        if name == b"content-length":
            announced = value
        elif name == b"content-encoding":
            coding = value.decode("latin-1").strip().lower()
        elif name == b"content-type" and b"charset" in value.lower() and not _is_utf_8(request):
            raise Problem(415, "Not UTF-8", "Send JSON in UTF-8, as RFC 8259 has it, and no other charset.")
    if announced.isdigit() and int(announced[:19]) > most_bytes:
        raise _too_large(most_bytes)
    body: _Plain | _Gzip = _Plain(most_bytes)
    if coding in GZIP:
        body = _Gzip(most_bytes)
    elif coding not in ("identity", ""):
        raise Problem(
            415,
            "Unknown content coding",
            "Send the body plain, or with Content-Encoding: gzip.",
            headers={"Accept-Encoding": "gzip"},
        )
    try:
        async with asyncio.timeout(seconds):
            await _receive(request, body)
    except TimeoutError:
        raise Problem(
            408,
            "Body too slow",
            f"The body did not end within {seconds:g} s. Send it again, in smaller parts or with gzip.",
            headers={"Connection": "close"},
        ) from None
    return body.whole().removeprefix(BYTE_ORDER_MARK)


def _is_utf_8(request: Request) -> bool:
    return content_type_of(request)[1] in UTF_8


def content_type_of(request: Request) -> tuple[str, str]:
    """The media type in small letters, and the charset: UTF-8 where none is named."""
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = "utf-8"
    for parameter in parameters.split(";") if parameters else ():
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip('"').lower()
    return kind.strip().lower(), charset


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
        return not_json(rows[0]["msg"])
    fields = [
        {"field": ".".join(map(str, row["loc"])) or "body", "problem": row["msg"]} for row in rows[:100]
    ]
    return Problem(422, "Invalid input", complaint(error)[:2000], param=fields[0]["field"], errors=fields)


def not_json(said: str) -> Problem:
    return Problem(400, "Invalid JSON", f"The body is not JSON: {said}.")


async def _receive(request: Request, body: _Plain | _Gzip) -> None:
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "Body cut off", "The connection ended in the middle of the body.")
        if message["body"]:
            body.add(message["body"])
        if not message.get("more_body"):
            return


class _Plain:
    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self._size = most_bytes, 0
        self._parts: list[bytes] = []

    def add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._most_bytes:
            raise _too_large(self._most_bytes)
        self._parts.append(part)

    def whole(self) -> bytes:
        return b"".join(self._parts)


class _Gzip(_Plain):
    """RFC 1952, of one member or several. No more is inflated than may be kept, whatever the ratio."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(most_bytes)
        self._member = zlib.decompressobj(wbits=31)
        self._came = 0

    def add(self, part: bytes) -> None:
        self._came += len(part)
        if self._came > self._most_bytes:  # empty members inflate to nothing, for ever
            raise _too_large(self._most_bytes)
        while part:
            if self._member.eof:
                self._member = zlib.decompressobj(wbits=31)
            try:
                super().add(self._member.decompress(part, self._most_bytes - self._size + 1))
            except zlib.error:
                raise Problem(400, "Invalid gzip", "The body is not what Content-Encoding says.") from None
            part = self._member.unused_data or self._member.unconsumed_tail

    def whole(self) -> bytes:
        if not self._member.eof:
            raise Problem(400, "Invalid gzip", "The gzip body stops in the middle.")
        return super().whole()


def _too_large(most_bytes: int) -> Problem:
    return Problem(
        413, "Body too large", f"Send at most {most_bytes} bytes in one request, counted after inflation."
    )
