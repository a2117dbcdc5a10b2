"""What a job's process is told, and the lines in which it answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from shared.fields import Part

ORDER_VARIABLE = "TUNELOOP_JOB_ORDER"
"""The variable of the environment that holds the order, where it does not come on standard input."""

LONGEST_ORDER_BYTES = 120_000  # Linux takes 128 KiB for one variable of the environment

MARK = b"tuneloop-job "
"""How each line of an answer begins; the job's id follows."""


class Order(Part):
    """All a job's process is told."""

    job_id: str
    kind: str
    task: dict[str, JsonValue]
    folder: str
    """Its own scratch folder: the same one when the job is started again, so that it can go on from there."""
    gpus: list[str] = Field(default_factory=list)
    """Those of this host that it may use, by the names CUDA gives them; none: whatever it finds."""


class JobProgress(Part):
    """What a job is busy with. `loss` and `eval_loss` (at the end of an epoch) are for those that have them,
    `seconds_left` is of this phase, `waits_since` and `waits_for` of one that stands still."""

    phase: str
    done: int
    total: int
    loss: float | None = None
    eval_loss: float | None = None
    seconds_left: float | None = None
    waits_since: datetime | None = None
    waits_for: str = ""


class Result(Part):
    result: dict[str, JsonValue]


class Refusal(Part):
    """Why this cannot succeed however often it is tried."""

    refused: str


class _Progressed(Part):
    progress: JobProgress


_LINE: TypeAdapter[Result | Refusal | _Progressed] = TypeAdapter(Result | Refusal | _Progressed)


def read_line(job_id: str, line: bytes) -> JobProgress | Result | Refusal | None:
    """What a line of a job's process says; None for a stray line, which is none of its own."""
    mark = _mark(job_id)
    if not line.startswith(mark):
        return None
    try:
        said = _LINE.validate_json(line[len(mark) :])
    except ValidationError:
        return None
    return said.progress if isinstance(said, _Progressed) else said


def marked_line(job_id: str, line: Mapping[str, Any]) -> bytes:
    """A line of the answer. It begins anew: before it, in a merged log, others may have left theirs open."""
    return b"\n" + _mark(job_id) + json.dumps(line).encode() + b"\n"


def _mark(job_id: str) -> bytes:
    return MARK + job_id.encode() + b" "
