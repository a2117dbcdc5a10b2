"""The process's end: standard output is kept for the answer."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from shared.die_with_parent import die_with_parent
from shared.job_protocol.lines import ORDER_VARIABLE, JobProgress, Order, marked_line


class Refused(Exception):
    """Raised by a job's work: however often it is tried, nothing comes of it. Says why and what to do."""


Report = Callable[[JobProgress], None]
Work = Callable[[Order, Report], Mapping[str, Any]]


def run_job(work: Work) -> int:
    """The whole `main` of a job's process: reads the order, does the work, answers; gives the exit code.

    From here on standard output belongs to the answer alone. Whatever else is written there, by a library, by
    C code or by a child process, goes to standard error. Of several processes at one order (`accelerate
    launch`) the first alone answers; they die with the one that launched them.
    """
    rank = int(os.environ.get("RANK", "0"))
    if "RANK" in os.environ:
        die_with_parent()
    sys.stdout.flush()
    reserved = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    order = Order.model_validate_json(os.environ.get(ORDER_VARIABLE) or sys.stdin.read())
    Path(order.folder).mkdir(parents=True, exist_ok=True)
    one_at_a_time = threading.Lock()

    def say(**line: Any) -> None:
        if rank != 0:
            return
        marked = marked_line(order.job_id, line)
        with one_at_a_time:
            while marked:
                marked = marked[os.write(reserved, marked) :]

    try:
        result = work(
            order, lambda progress: say(progress=progress.model_dump(mode="json", exclude_none=True))
        )
    except Refused as refused:
        say(refused=str(refused))
    else:
        say(result=result)
    return 0
