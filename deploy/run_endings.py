"""How `tuneloop train` ends: what is said of its run, in words and in JSON, and the exit code."""

from __future__ import annotations

from typing import Any

from deploy.endings import Ending
from deploy.run_client import Run
from deploy.status import accuracy

EVALUATED = "evaluated"


def asked_for(workload: str, run_id: str) -> str:
    """Before it begins: how to come back to it, and how to end it."""
    return f"{workload}: run {run_id}. Ctrl-C leaves it running; tuneloop runs cancel {run_id[:8]} ends it."


def run_ending(run: Run) -> Ending:
    """A candidate is a run's good end, whatever is judged of it afterwards."""
    if run.state == EVALUATED or (run.state != "failed" and run.candidate):
        said = (
            f"{run.workload}: {run.candidate} is evaluated, {accuracy(run.accuracy)} of held-out rows right."
        )
        warned = "".join(f"\n  {warning}" for warning in run.warnings)
        return Ending(f"{said} What follows: tuneloop workload follow {run.workload}{warned}")
    return Ending(f"{run.workload}: run {run.run_id} has failed. {run.reason or run.sentence}", 1)


def run_as_json(run: Run) -> dict[str, Any]:
    return run.model_dump(mode="json", exclude={"sentence", "seconds_left", "waits_since"})
