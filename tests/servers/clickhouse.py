"""ClickHouse for tests: the server that CLICKHOUSE_URL names, or one started in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from deploy.laptop.clickhouse.configuration import basic_login
from deploy.laptop.clickhouse.ready import takes_queries
from deploy.laptop.clickhouse.users import ensure_passwords
from tests.servers.model import ROOT, free_port


@contextmanager
def embedded_clickhouse(folder: Path) -> Iterator[str]:
    """Gives `http://user:password@host:port/tuneloop`, ready for queries; gone at the end if started here."""
    if running := os.environ.get("CLICKHOUSE_URL"):
        yield running
        return
    port = free_port()
    process = start_clickhouse(folder, port)
    try:
        yield wait_until_ready(process, folder, port)
    finally:
        stop(process)


def start_clickhouse(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """The laptop's server with all that is its own in `folder`; it lives as long as its stdin."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "deploy.laptop.clickhouse", "--port", str(port), "--stop-with-stdin"]
    command += ["--data", str(folder / "clickhouse"), "--password-file", str(folder / "passwords.json")]
    with (folder / "output.log").open("ab") as output:
        return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=output, stderr=output)


def wait_until_ready(process: subprocess.Popen[bytes], folder: Path, port: int, seconds: float = 60) -> str:
    """The server's URL, once it takes queries. Raises RuntimeError with what it wrote if it does not."""
    password = ensure_passwords(folder / "passwords.json").tuneloop
    url = f"http://tuneloop:{password}@127.0.0.1:{port}/tuneloop"
    until = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < until:
        if takes_queries(url):
            return url
        time.sleep(0.05)  # another process: there is nothing to await
    raise RuntimeError(f"ClickHouse is not ready:\n{(folder / 'output.log').read_text()[-3000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.wait(timeout=10)


def execute(url: str, sql: str) -> str:
    """Runs one statement as the user of `url` and gives the answer's text. Raises HTTPError when refused."""
    parts = urlsplit(url)
    login = {"Authorization": basic_login(parts.username or "default", parts.password or "")}
    server = f"{parts.scheme}://{parts.hostname}:{parts.port}/"
    with urllib.request.urlopen(urllib.request.Request(server, sql.encode(), login), timeout=30) as answer:
        return str(answer.read().decode())
