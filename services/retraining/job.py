"""The child process of retraining: trains a candidate or evaluates it (see shared/jobs.py)."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from services.retraining.job_messages import EVALUATE, TRAIN, EvaluateTask, Refused, TrainTask
from services.retraining.settings import Settings
from shared.addresses import Addresses
from shared.files import DigestMismatch, Files
from shared.model_server import ModelServer


class Lines:
    """Standard output, which is for JSON lines only: what libraries print goes to standard error."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def emit(self, **line: Any) -> None:
        self._out.write(json.dumps(line) + "\n")
        self._out.flush()


def work(order: dict[str, Any], progress: Callable[..., None]) -> Any:
    """Does one order; raises Refused, or anything else to be started again."""
    addresses, settings = Addresses(), Settings()
    files = Files(addresses.files_uri, addresses.state_folder / "cache")
    try:
        if order["kind"] == TRAIN:
            from services.retraining.candidate_training import train_candidate

            task = TrainTask.model_validate(order["task"])
            return train_candidate(task, Path(order["folder"]), files, addresses, settings, progress)
        assert order["kind"] == EVALUATE
        return asyncio.run(_evaluate(order, files, addresses, settings, progress))
    except (DigestMismatch, FileNotFoundError) as error:
        raise Refused(f"{error}. Restore the file, or publish the dataset anew.") from error


async def _evaluate(
    order: dict[str, Any],
    files: Files,
    addresses: Addresses,
    settings: Settings,
    progress: Callable[..., None],
) -> Any:
    from services.retraining.candidate_evaluation import evaluate_candidate

    async with ModelServer(addresses.models_url) as models:
        return await evaluate_candidate(
            EvaluateTask.model_validate(order["task"]), files, models, settings, progress
        )


def main() -> int:
    lines = Lines(sys.stdout)
    sys.stdout = sys.stderr
    try:
        result = work(json.load(sys.stdin), lambda **progress: lines.emit(progress=progress))
    except Refused as refused:
        lines.emit(refused=str(refused))
    else:
        lines.emit(result=result.model_dump(mode="json"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
