"""A job for tests: `python -m tests.shared.example_job`. Its task says what it does, in order."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.job_protocol import JobProgress, Order, Refused, Report, run_job

AT = datetime(2026, 11, 26, 14, 2, tzinfo=UTC)


def work(order: Order, report: Report) -> Mapping[str, Any]:
    """Steps are [verb, argument]: the starts so far are in the folder's file `starts`."""
    starts = Path(order.folder, "starts")
    with starts.open("a") as file:
        file.write(f"{os.getpid()}\n")
    first = len(starts.read_text().splitlines()) == 1
    steps: Any = order.task["steps"]
    for verb, argument in steps:
        match verb:
            case "print":
                print(argument, flush=True)
                os.write(1, f"{argument}\n".encode())
                subprocess.run(["echo", str(argument)], check=True)
            case "report":
                report(JobProgress(phase=str(argument), done=0, total=1))
            case "report a wait":
                report(
                    JobProgress(phase="evaluation", done=0, total=1, waits_since=AT, waits_for=str(argument))
                )
            case "wait for":
                while not Path(str(argument)).exists():
                    time.sleep(0.02)
            case "wait for in folder":
                while not Path(order.folder, str(argument)).exists():
                    time.sleep(0.02)
            case "crash at first" if first:
                os.kill(os.getpid(), signal.SIGKILL)
            case "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            case "refuse":
                raise Refused(str(argument))
    return {"pid": os.getpid(), "gpus": os.environ.get("CUDA_VISIBLE_DEVICES", "")}


if __name__ == "__main__":
    print("written before anybody could reserve standard output", end="", flush=True)
    sys.exit(run_job(work))
