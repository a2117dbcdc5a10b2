"""A package index on loopback that hands out what an attacker put there, and what pip makes of it."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import patch
from urllib.parse import unquote

MARK = "planted"
"""A file whose name begins so says that the attacker's code is there, or ran."""
RUNS = f"import os\nopen(os.environ['{MARK}'], 'w').close()\n"
"""Code that leaves its mark when it runs."""
ALONE = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
    "PIP_NO_CACHE_DIR": "1",
}
"""pip as it is where nothing is configured, so that it asks the attacker's index alone."""


def wheel(name: str, version: str, files: Mapping[str, str]) -> dict[str, bytes]:
    """A wheel that any Python takes."""
    info = f"{name}-{version}.dist-info"
    inside = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: planted\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {path: hashlib.sha256(text.encode()).digest() for path, text in inside.items()}
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()},{len(inside[path])}\n"
        for path, digest in digests.items()
    )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, text in {**inside, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(path, text)
    return {f"{name}-{version}-py3-none-any.whl": content.getvalue()}


def source(name: str, version: str) -> dict[str, bytes]:
    """A source distribution that runs the attacker's code when it is built."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for path, text in {"setup.py": RUNS, "PKG-INFO": f"Name: {name}\nVersion: {version}\n"}.items():
            entry = tarfile.TarInfo(f"{name}-{version}/{path}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return {f"{name}-{version}.tar.gz": content.getvalue()}


@contextmanager
def index(files: Mapping[str, bytes], claimed: str = "") -> Iterator[str]:
    """Offers each file for the package that it is named after, and claims a sha256 of it, or none."""
    fragment = f"#sha256={claimed}" if claimed else ""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            folder, name = self.path.strip("/").split("/", 1)
            offered = [file for file in files if file.replace("_", "-").startswith(f"{name}-")]
            page = "".join(f'<a href="/files/{file}{fragment}">{file}</a>' for file in offered)
            is_file = folder == "files"
            body = (
                files[unquote(name)]
                if is_file
                else f"<!DOCTYPE html><html><body>{page}</body></html>".encode()
            )
            self.send_response(200)
            self.send_header("content-type", "application/octet-stream" if is_file else "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


@contextmanager
def unheard() -> Iterator[None]:
    """What processes that are started meanwhile say on standard error goes nowhere."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def taken(install: Callable[[Path], None]) -> bool:
    """Whether the attacker's code is in the folder that `install` is given, or wrote its mark there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        is_refused = suppress(subprocess.CalledProcessError)  # whether in time, the folder says
        with patch.dict(os.environ, {**ALONE, MARK: str(folder / MARK)}), unheard(), is_refused:
            install(folder)
        return any(folder.rglob(f"{MARK}*"))
