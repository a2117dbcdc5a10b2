"""A real MLflow server, of the interpreter that has one: the package pins an older pyarrow than datasets."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.servers.model import free_port

SECONDS_TO_START = 120.0


@contextmanager
def mlflow_server(folder: Path, port: int | None = None) -> Iterator[str]:
    """Its address. Runs, models and aliases stand in a SQLite file in the folder, and outlive it."""
    python = os.environ.get("MLFLOW_TEST_PYTHON")
    if not python:
        pytest.skip(
            "NOT CHECKED: no MLflow server here. Set MLFLOW_TEST_PYTHON to an interpreter that has the "
            "package mlflow"
        )
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--default-artifact-root", str(folder)]
    with (folder / "mlflow.log").open("ab") as log:
        process = subprocess.Popen(
            [python, "-m", "mlflow", "server", *store, "--port", str(port), "--workers", "1"],
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        )
    try:
        _await_health(url, process, folder / "mlflow.log")
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # it has workers of its own
        process.wait(timeout=20)


def _await_health(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < until:
        try:
            if httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            assert process.poll() is None, log.read_text()[-3000:]
            time.sleep(0.2)  # another process: there is nothing to await
    raise TimeoutError(f"no MLflow after {SECONDS_TO_START} s: {log.read_text()[-3000:]}")
