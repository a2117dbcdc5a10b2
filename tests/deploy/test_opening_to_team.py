"""README, "Opening it to your team", followed from beginning to end at an address of this machine."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from deploy.laptop.errors import LaptopError
from deploy.laptop.opening import own_addresses
from deploy.laptop.running import running
from shared.events import record
from shared.http_tls import trusted_with
from tests.servers.model import ROOT, free_port
from tests.shared.consuming import added, produce

SECTION = re.compile(r"^## Opening it to your team\n(.*?)^## ", re.S | re.M)
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.S | re.M)
IN_README, GATEWAY, SERVICES, KEY_ID = "192.0.2.10", ":8080", ":8081", "5f2c9a1b03de"
OURS = next((one for one in own_addresses() if ":" not in one), "")
START_SECONDS, KEY_SECONDS = 120.0, 10.0

pytestmark = [
    pytest.mark.skipif(not OURS, reason="this machine has no IPv4 address besides loopback"),
    pytest.mark.skipif(
        not shutil.which("curl") or not shutil.which("openssl"), reason="no curl, or no openssl"
    ),
]


class Models(BaseHTTPRequestHandler):
    """A model server that has no model: no workload has a champion here."""

    def do_GET(self) -> None:
        body = b'{"object": "list", "data": []}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@dataclass
class Follower:
    """Somebody who types what the README says, one command after the other."""

    folder: Path
    gateway: int
    services: int
    models_url: str
    environment: dict[str, str] = field(default_factory=dict)
    """What was exported."""
    keys: dict[str, str] = field(default_factory=dict)
    up: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / ".tuneloop" / "up"

    def type(self, command: str) -> str:
        """What it prints on standard output; of `up`, nothing. Raises AssertionError where it fails."""
        replaced = {
            IN_README: OURS, GATEWAY: f":{self.gateway}", SERVICES: f":{self.services}",
            "$SHOP_KEY": self.keys.get("shop", ""), "tl_…": self.keys.get("anna", ""),
            KEY_ID: self.keys.get("ben", "")[3:15],
        }  # fmt: skip
        for said, meant in replaced.items():
            command = command.replace(said, meant)
        words = shlex.split(command, comments=True)
        if words[0] == "export":
            self.environment |= dict(word.split("=", 1) for word in words[1:])
            return ""
        if words[0].endswith("tuneloop"):
            words = [sys.executable, "-m", "deploy", *words[1:]]
        if words[3:4] == ["up"]:
            self._start(words)
            return ""
        done = subprocess.run(
            words, cwd=self.folder, env=self._told(), capture_output=True, text=True, timeout=START_SECONDS
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        if words[3:5] == ["keys", "create"]:
            self.keys[words[5]] = done.stdout.splitlines()[0]
        return done.stdout

    def _told(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("TUNELOOP_", "KAFKA_"))
        }
        return kept | {"PYTHONPATH": str(ROOT), "MODELS_URL": self.models_url} | self.environment

    def _start(self, words: list[str]) -> None:
        ports = {"gateway": self.gateway, "services": self.services, "kafka": 0, "clickhouse": 0}
        options = [word for name, port in ports.items() for word in (f"--{name}-port", str(port))]
        with (self.folder / "out").open("wb") as out:
            self.up = subprocess.Popen(
                [*words, *options], cwd=self.folder, env=self._told(), stdout=out, stderr=out
            )
        until = time.monotonic() + START_SECONDS
        while self.up.poll() is None and time.monotonic() < until:
            try:
                found = running(self.data)
            except LaptopError:
                time.sleep(0.2)  # another process: there is nothing to await
                continue
            event = record(added("tickets"), "workloads")
            produce(found.addresses.kafka_bootstrap_servers, event.topic, {0: [event.value]})
            return
        raise AssertionError((self.folder / "out").read_text())


@contextmanager
def following(folder: Path) -> Iterator[Follower]:
    models = ThreadingHTTPServer(("127.0.0.1", 0), Models)
    serving = Thread(target=models.serve_forever)
    serving.start()
    follower = Follower(folder, free_port(), free_port(), f"http://127.0.0.1:{models.server_port}")
    try:
        yield follower
    finally:
        if follower.up is not None:
            follower.up.send_signal(signal.SIGINT)
            assert follower.up.wait(60) == 130
        models.shutdown()
        serving.join()
        models.server_close()


def blocks() -> list[list[str]]:
    """The commands of each block of the section."""
    section = SECTION.search((ROOT / "README.md").read_text("utf-8"))
    assert section is not None
    found = (block.replace("\\\n", " ").splitlines() for block in BLOCK.findall(section[1]))
    return [[line for line in block if line.strip()] for block in found]


def test_it_works_as_it_is_written(tmp_path: Path) -> None:
    on_the_host, second_terminal, elsewhere = blocks()
    with following(tmp_path) as follower:
        for command in on_the_host:
            follower.type(command)
        follower.environment.clear()  # another terminal
        for command in second_terminal:
            follower.type(command)
        assert set(follower.keys) == {"anna", "ben", "shop"}
        trust = trusted_with(str(tmp_path / "tls.pem"))
        with httpx.Client(base_url=f"https://{OURS}:{follower.services}", verify=trust) as ben:
            signed_in = ben.post("/sign-in", data={"key": follower.keys["ben"], "next": "/review"})
            assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/review")
            page = ben.get("/review", headers={"accept": "text/html"})
            assert "Sign out" in page.text
            assert "/audit-log" not in page.text
            audit_log = ben.get("/audit-log", headers={"accept": "text/html"})
            assert (audit_log.status_code, "may not audit here" in audit_log.text) == (403, True)
            assert ben.post("/workloads/tickets/rollback", json={"reason": "x"}).status_code == 403
            curl, *by_anna = elsewhere
            answer = json.loads(follower.type(curl))
            assert answer["status"] in (404, 503), answer
            assert "key" not in answer["detail"], "its key is taken; only a champion is missing"
            said = {command.split()[1]: follower.type(command) for command in by_anna}
            assert "tickets" in said["status"]
            assert "revoked" in said["keys"]
            until = time.monotonic() + KEY_SECONDS
            while ben.get("/workloads").status_code != 401:
                assert time.monotonic() < until, "the session outlives its key"
                time.sleep(0.1)  # another process: there is nothing to await
