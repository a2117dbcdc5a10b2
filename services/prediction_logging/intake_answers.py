"""What an app is answered: ids, a result for each line, or a problem that says what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from pydantic import BaseModel
from starlette.responses import Response

from services.prediction_logging.intake import OTHER_CONTENT, Judged
from services.prediction_logging.kinds import FOREIGN_WORKLOAD, UNKNOWN_WORKLOAD
from services.prediction_logging.request_keys import RequestKey
from shared.problems import Problem, come_again

MOST_ERRORS_LISTED = 100
RETRY_AFTER_SECONDS = 5

_encode = msgspec.json.Encoder().encode


class Accepted(BaseModel):
    """The ids under which everything is kept, in the order it was sent."""

    ids: list[str]


class FieldError(BaseModel):
    field: str
    problem: str


class LineResult(BaseModel):
    """A line has an `id` or `errors`. Lines are counted from 1, the elements of an array likewise."""

    line: int
    id: str | None = None
    errors: list[FieldError] | None = None


class PartlyAccepted(BaseModel):
    """Some lines are kept, the others are not: correct these and send them alone."""

    accepted: int
    refused: int
    results: list[LineResult]


def answer(judged: Judged) -> Response:
    """202 when every line was taken, 207 (RFC 4918) when some were."""
    if not judged.errors:
        body: dict[str, Any] = {"ids": judged.ids}
        return Response(_encode(body), 202, media_type="application/json")
    wrong: dict[int, list[dict[str, str]]] = {}
    for error in judged.errors:
        wrong.setdefault(error.line, []).append({"field": error.field, "problem": error.problem})
    results: list[dict[str, Any]] = [
        {"line": line, "id": made} for line, made in zip(judged.lines, judged.ids, strict=True)
    ]
    results += [{"line": line, "errors": errors} for line, errors in wrong.items()]
    results.sort(key=lambda result: result["line"])
    body = {"accepted": len(judged.ids), "refused": len(wrong), "results": results}
    return Response(_encode(body), 207, media_type="application/json")


def refusal(judged: Judged, known_workloads: Sequence[str]) -> Problem:
    """Of a request of which nothing is kept. `known_workloads`: those that whoever sent it may know of."""
    errors = judged.errors
    shown = [error._asdict() for error in errors[:MOST_ERRORS_LISTED]]
    if all(error.problem == UNKNOWN_WORKLOAD for error in errors):
        return Problem(
            404,
            "Unknown workload",
            f"Nothing was accepted. Known workloads are: {', '.join(known_workloads) or 'none yet'}.",
            known_workloads=known_workloads,
            errors=shown,
        )
    if all(error.problem == FOREIGN_WORKLOAD for error in errors):
        return Problem(
            403,
            "Not for this workload",
            "Nothing was accepted: this key is for other workloads. Whoever runs tuneloop can make one for "
            "this: tuneloop keys create --workload",
            errors=shown,
        )
    wrong = len({error.line for error in errors})
    said = f"{wrong} of {wrong + len(judged.ids)} lines are wrong; see `errors`."
    if all(error.problem == OTHER_CONTENT for error in errors):
        return Problem(
            409,
            "Conflict",
            f"{said} Give what is new an id of its own. What came first is kept.",
            errors=shown,
        )
    return Problem(
        422, "Nothing was accepted", f"{said} Correct them and send all lines again.", errors=shown
    )


def not_accepted(judged: Judged, key: RequestKey) -> Problem:
    return come_again(
        "Not accepted for sure",
        "Neither Kafka nor the disk confirmed in time. Send the same body again, best with this "
        "Idempotency-Key: the ids will be these, and what did arrive is not counted twice.",
        seconds=RETRY_AFTER_SECONDS,
        ids=judged.ids,
        idempotency_key=key.text,
    )


def wrong_count(count: int, most: int) -> Problem:
    if count == 0:
        return Problem(422, "Nothing sent", "Send one object, an array of them, or one JSON object a line.")
    return Problem(413, "Too many lines", f"Send at most {most} in one request, with few empty lines.")


def wrong_media_type() -> Problem:
    return Problem(
        415,
        "Unknown media type",
        "Send application/json (one object or an array), or application/x-ndjson (an object a line).",
        headers={"Accept": "application/json, application/x-ndjson"},
    )


def unclear_query(name: str, allowed: str) -> Problem:
    return Problem(422, "Invalid query", f"{name} is {allowed}.", param=name)


def no_key() -> Problem:
    return Problem(
        400, "Wrong Idempotency-Key", "It has 1 to 200 printable ASCII characters; a UUID is a good one."
    )


def key_used_before() -> Problem:
    return Problem(
        422,
        "Idempotency-Key used before",
        "It came before with another body. Send the first body again, or this one with a key of its own.",
    )
