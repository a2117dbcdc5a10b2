"""The job's answer and what else stands on its standard output are never confused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.job_protocol import ORDER_VARIABLE, JobProgress, Order, Refusal, Result, read_line
from tests.servers.model import ROOT
from tests.shared.example_job import AT


def run(folder: Path, steps: list[list[str]], *, by_environment: bool = False) -> list[bytes]:
    order = Order(job_id="j1", kind="k", task={"steps": steps}, folder=str(folder / "made")).model_dump_json()
    ended = subprocess.run(
        [sys.executable, "-m", "tests.shared.example_job"],
        cwd=ROOT,
        input=None if by_environment else order.encode(),
        stdin=subprocess.DEVNULL if by_environment else None,
        env={**os.environ, ORDER_VARIABLE: order} if by_environment else None,
        capture_output=True,
        timeout=30,
    )
    return ended.stdout.splitlines()


@pytest.mark.parametrize("by_environment", [False, True])
def test_of_what_a_job_writes_only_its_own_lines_reach_standard_output(
    tmp_path: Path, by_environment: bool
) -> None:
    answer = 'tuneloop-job j1 {"result": {}}'
    steps = [["print", answer], ["report", "half way"], ["print", "{}"]]
    lines = run(tmp_path, steps, by_environment=by_environment)
    assert lines[0] == b"written before anybody could reserve standard output"
    said = [one for line in lines if (one := read_line("j1", line)) is not None]
    assert [type(one) for one in said] == [JobProgress, Result]
    assert said[0] == JobProgress(phase="half way", done=0, total=1)
    assert isinstance(said[1], Result)
    assert "pid" in said[1].result


def test_since_when_a_job_waits_comes_over_whole(tmp_path: Path) -> None:
    lines = run(tmp_path, [["report a wait", "the server is down"]])
    said = next(filter(None, (read_line("j1", line) for line in lines)))
    assert isinstance(said, JobProgress)
    assert (said.waits_since, said.waits_for) == (AT, "the server is down")


def test_a_refusal_says_why(tmp_path: Path) -> None:
    (said,) = filter(None, (read_line("j1", line) for line in run(tmp_path, [["refuse", "no rows"]])))
    assert said == Refusal(refused="no rows")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"Loading weights: 100%",
        b"{}",
        b'{"result": {}}',
        b"17",
        b'tuneloop-job other {"result": {}}',
        b'tuneloop-job j1 {"result": {}',
        b"tuneloop-job j1 null",
        b'tuneloop-job j1 {"result": 3}',
        b'tuneloop-job j1 {"progress": {"phase": "x"}}',
        b'  tuneloop-job j1 {"result": {}}',
        b"\xff\xfe",
    ],
)
def test_a_stray_line_says_nothing(line: bytes) -> None:
    assert read_line("j1", line) is None


def test_progress_from_a_newer_version_is_still_progress() -> None:
    progress: dict[str, Any] = {"phase": "training", "done": 1, "total": 2, "loss": 0.5, "eta": 3}
    said = read_line("j1", b"tuneloop-job j1 " + json.dumps({"progress": progress}).encode())
    assert said == JobProgress(phase="training", done=1, total=2, loss=0.5)
