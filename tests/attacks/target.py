"""A real installation to attack: `python -m deploy up` on free ports, over a data folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx
import psutil

from deploy.laptop.children import NAMED_BY
from deploy.laptop.laptop import LaptopError, running
from tests.servers.model import ROOT

PORTS = ("kafka", "clickhouse", "models", "gateway", "services")
START_SECONDS, STOP_SECONDS = 300.0, 60.0
LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Target:
    """Where the installation answers. Ours that speak HTTP are `gateway`, `services` and `models`."""

    data: Path
    process: psutil.Process
    gateway: str
    services: str
    """Every other service, and the console."""
    models: str
    clickhouse: str
    """With user and password, which no attacker knows."""
    kafka: str

    @property
    def doors(self) -> dict[str, str]:
        return {"gateway": self.gateway, "services": self.services, "models": self.models}

    def is_well(self) -> bool:
        """Whether gateway and services are alive and model server and tables answer."""
        try:
            ready = [httpx.get(f"{url}/health/ready", timeout=20) for url in (self.gateway, self.services)]
            ready.append(httpx.get(f"{self.models}/health", timeout=20))
        except httpx.HTTPError:
            return False
        return all(answer.status_code == 200 for answer in ready)

    def log_bytes(self) -> int:
        """Of all processes together."""
        return sum(file.stat().st_size for file in (self.data / "logs").iterdir())

    @contextmanager
    def watched(self, door: str) -> Iterator[Grown]:
        """By how much the memory of one of `doors` grows meanwhile."""
        process, over = self._process_of(door), threading.Event()
        before = process.memory_info().rss
        grown = Grown()

        def watch() -> None:
            while not over.wait(LOOK_SECONDS):
                grown.bytes = max(grown.bytes, process.memory_info().rss - before)

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            yield grown
        finally:
            over.set()
            watching.join()

    def _process_of(self, door: str) -> psutil.Process:
        port = self.doors[door].rpartition(":")[2]
        return next(one for one in self.process.children(recursive=True) if port in one.cmdline())


@dataclass
class Grown:
    bytes: int = 0
    """At most so far."""


@contextmanager
def installation(
    folder: Path, *options: str, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Target]:
    """One that is ready; stopped at the end. Raises RuntimeError with what it said when it does not start.

    `options` are further ones of `tuneloop up`; `environment` may name a server that is there already.
    """
    data = folder / "data"
    command = [sys.executable, "-m", "deploy", "up", "--data", str(data), *options]
    for name in PORTS:
        command += [f"--{name}-port", "0"]
    kept = {name: value for name, value in os.environ.items() if name not in NAMED_BY.values()}
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env={**kept, **environment}, stdout=out, stderr=out)
    try:
        yield _awaited(process, data, folder / "out")
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _awaited(process: subprocess.Popen[bytes], data: Path, out: Path) -> Target:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            found = running(data)
        except LaptopError:
            time.sleep(0.2)  # another process: there is nothing to await
            continue
        where = found.addresses
        return Target(
            data,
            psutil.Process(process.pid),
            found.gateway_url,
            found.services_url,
            where.models_url,
            where.clickhouse_url,
            where.kafka_bootstrap_servers,
        )
    process.terminate()
    raise RuntimeError(f"the installation does not start:\n{out.read_text()[-3000:]}")
