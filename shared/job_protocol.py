"""How a job's process and its service talk: an order in, marked JSON lines out. Both ends of it.

The order comes as JSON on standard input or, where a process has none (a Kubernetes pod), in the environment.
The process answers on standard output, a line each time: any number of {"progress": …}, then {"result": …}
or {"refused": "why"}. Every line begins with a mark that holds the job's id, so that whatever a library
prints, or a pod's log brings in between, is told from an answer.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError

from shared.fields import Part

ORDER_VARIABLE = "TUNELOOP_JOB_ORDER"


class Order(Part):
    """All a job's process is told."""

    job_id: str
    kind: str
    task: dict[str, JsonValue]
    folder: str
    """Its own scratch folder: the same one when the job is started again, so that it can go on from there."""


class JobProgress(Part):
    """What a job is busy with. `loss` is for those that have one."""

    phase: str
    done: int
    total: int
    loss: float | None = None


class Result(Part):
    result: dict[str, JsonValue]


class Refusal(Part):
    """Why this cannot succeed however often it is tried."""

    refused: str


class _Progressed(Part):
    progress: JobProgress


class Refused(Exception):
    """Raised by a job's work: however often it is tried, nothing comes of it. Says why and what to do."""


Report = Callable[[JobProgress], None]
Work = Callable[[Order, Report], Mapping[str, Any]]
_LINE: TypeAdapter[Result | Refusal | _Progressed] = TypeAdapter(Result | Refusal | _Progressed)


def run_job(work: Work) -> int:
    """The whole `main` of a job's process: reads the order, does the work, answers; gives the exit code.

    From here on standard output belongs to the answer alone. Whatever else is written there, by a library, by
    C code or by a child process, goes to standard error.
    """
    sys.stdout.flush()
    reserved = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    order = Order.model_validate_json(os.environ.get(ORDER_VARIABLE) or sys.stdin.read())
    Path(order.folder).mkdir(parents=True, exist_ok=True)
    one_at_a_time = threading.Lock()

    def say(**line: Any) -> None:
        # Begun on a line of its own: in a log that is merged, others may have left theirs without an end.
        marked = f"\n{_mark(order.job_id)}{json.dumps(line)}\n".encode()
        with one_at_a_time:
            while marked:
                marked = marked[os.write(reserved, marked) :]

    try:
        result = work(order, lambda progress: say(progress=progress.model_dump(exclude_none=True)))
    except Refused as refused:
        say(refused=str(refused))
    else:
        say(result=result)
    return 0


def read_line(job_id: str, line: bytes) -> JobProgress | Result | Refusal | None:
    """What a line of a job's process says; None for a stray line, which is none of its own."""
    mark = _mark(job_id).encode()
    if not line.startswith(mark):
        return None
    try:
        said = _LINE.validate_json(line[len(mark) :])
    except ValidationError:
        return None
    return said.progress if isinstance(said, _Progressed) else said


def _mark(job_id: str) -> str:
    return f"tuneloop-job {job_id} "
