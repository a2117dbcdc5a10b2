"""Services in a process of their own, as production starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.servers.model import ROOT, free_port

NOWHERE = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
    "CLICKHOUSE_URL": "http://127.0.0.1:9/none",
    "MODELS_URL": "http://127.0.0.1:9",
}


def until_taken(send: Callable[[], httpx.Response], seconds: float = 60) -> httpx.Response:
    """The answer, once it is none of a service that has just started: 503, and when to come again. It is
    ready a moment before Kafka gives it what it decides about.
    """
    until = time.monotonic() + seconds
    while (answer := send()).status_code == 503 and "retry-after" in answer.headers:
        if time.monotonic() > until:
            break
        time.sleep(0.2)  # another process: there is nothing to await
    return answer


@dataclass
class ServiceProcess:
    """`python -m services NAMES`; started again after `kill` or `stop` it keeps port and state."""

    names: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """The addresses that are there; the others lead nowhere."""
    port: int = field(default_factory=free_port)
    hosts: Sequence[str] = ()
    """Where it listens, if that is not loopback."""
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def start(self) -> None:
        """Returns at once: nothing is ready yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services", *self.names, "--port", str(self.port), *self._hosts()],
                cwd=ROOT,
                env={
                    **os.environ,
                    **NOWHERE,
                    "FILES_URI": (self.folder / "files").as_uri(),
                    "STATE_FOLDER": str(self.folder / "state"),
                    **self.environment,
                },
                stdout=log,
                stderr=log,
            )

    def _hosts(self) -> list[str]:
        return [word for host in self.hosts for word in ("--host", host)]

    def get(self, path: str, seconds: float = 5) -> httpx.Response | None:
        """The answer; None while nobody answers."""
        try:
            return httpx.get(self.url + path, timeout=seconds, trust_env=False)
        except httpx.TransportError:
            return None

    def post(self, path: str, given: object, seconds: float = 60, **headers: str) -> httpx.Response:
        """The answer, once it takes it. Raises httpx.TransportError while nobody answers."""
        url = self.url + path
        return until_taken(
            lambda: httpx.post(url, json=given, headers=headers, timeout=20, trust_env=False), seconds
        )

    def await_status(self, path: str, status: int, seconds: float = 60) -> httpx.Response:
        """Raises TimeoutError if this path is not answered by that status in time."""
        until, answer = time.monotonic() + seconds, None
        while time.monotonic() < until:
            answer = self.get(path)
            if answer is not None and answer.status_code == status:
                return answer
            assert self.is_running, self.log[-3000:]
            time.sleep(0.05)  # another process: there is nothing to await
        raise TimeoutError(f"{path}: {answer and answer.text}; {self.log[-3000:]}")

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def await_end(self, seconds: float = 60) -> int:
        """Its exit code. Raises subprocess.TimeoutExpired."""
        assert self._process is not None
        return self._process.wait(timeout=seconds)

    def kill(self) -> None:
        """As `kill -9`. Does nothing if it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=20)

    def stop(self, seconds: float = 30) -> int:
        """As an orchestrator would. Raises subprocess.TimeoutExpired when it does not end in time."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=seconds)
