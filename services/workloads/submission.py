"""A workload as it comes over HTTP: JSON, or a TOML file with its rows beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile

from services.workloads.complaints import BadWorkload, Complaint
from services.workloads.definition import Definition, read_definition, read_toml
from shared.problems import Problem, is_json, wrong_content_type
from shared.request_bodies import body_of

FIELDS = {"definition", "rows", "rows_uri"}


@dataclass(frozen=True)
class RowsFile:
    name: str
    content: bytes


@dataclass(frozen=True)
class Submission:
    """A definition and its rows: listed, in a file, by URI, or none: those of the revision before."""

    definition: Definition
    rows: list[Any] | RowsFile | None = None
    rows_uri: str | None = None


async def read_submission(request: Request, most_bytes: int, json_most_bytes: int) -> Submission:
    """Of files there may be `most_bytes`.

    Raises BadWorkload for what is wrong with the workload, Problem for what is no such request.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _of_files(request, most_bytes)
    if not is_json(kind):
        raise wrong_content_type("application/json", "multipart/form-data")
    try:
        body = json.loads(await body_of(request, json_most_bytes))
    except (ValueError, RecursionError):
        raise Problem(400, "Invalid JSON", "Send JSON, or multipart/form-data with files.") from None
    if not isinstance(body, dict) or not isinstance(body.get("definition"), dict) or not set(body) <= FIELDS:
        raise Problem(422, "Invalid input", "Send an object with definition and rows (or rows_uri).")
    definition = read_definition(body["definition"], "definition")
    rows, uri = body.get("rows"), body.get("rows_uri")
    if (rows is not None and not isinstance(rows, list)) or (uri is not None and not isinstance(uri, str)):
        raise BadWorkload([Complaint("rows", "rows is a list of {text, label}, rows_uri a text.")])
    return Submission(definition, rows, uri)


async def _of_files(request: Request, most_bytes: int) -> Submission:
    announced = request.headers.get("content-length", "")
    if not announced.isdecimal() or int(announced) > most_bytes:
        raise Problem(413, "Body too large", f"Send at most {most_bytes} bytes, and say how many.")
    async with request.form(max_files=2, max_fields=2) as form:
        definition, rows = form.get("definition"), form.get("rows")
        if definition is None:
            raise Problem(422, "Invalid input", "The part “definition” is missing: a TOML file.")
        read = read_toml(*await _content(definition, "definition"))
        if rows is None:
            return Submission(read, rows_uri=read.rows if read.rows and "://" in read.rows else None)
        content, name = await _content(rows, read.rows or "rows.jsonl")
        return Submission(read, RowsFile(name, content))


async def _content(part: UploadFile | str, name: str) -> tuple[bytes, str]:
    """A part's content and what to call it in complaints."""
    if isinstance(part, str):
        return part.encode("utf-8", "surrogatepass"), name
    return await part.read(), part.filename or name
