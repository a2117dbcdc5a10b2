"""An object store for tests: moto's server, which speaks S3's protocol, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from s3fs import S3FileSystem

from tests.servers.model import free_port

BUCKET = "tuneloop"
PATIENCE_SECONDS = 30.0


@contextmanager
def s3_server(port: int | None = None) -> Iterator[Mapping[str, str]]:
    """The environment that leads every client of S3 to it; it has a bucket called BUCKET."""
    S3FileSystem.clear_instance_cache()  # one that was made before goes on asking the server of then
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_it_has_a_bucket(process, f"{url}/{BUCKET}")
        yield {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        process.kill()
        process.wait(20)


def _wait_until_it_has_a_bucket(process: subprocess.Popen[bytes], bucket: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, "moto's server ended"
        try:
            urllib.request.urlopen(urllib.request.Request(bucket, method="PUT"), timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)  # another process: there is nothing to await
    raise TimeoutError(f"no object store within {PATIENCE_SECONDS:.0f} s")
