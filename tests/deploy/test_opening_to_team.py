"""README, "Opening it to your team", followed from beginning to end at an address of this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from deploy.laptop.errors import LaptopError
from deploy.laptop.opening import own_addresses
from deploy.laptop.running import Running, running
from shared.access.api_key import LOOKS_LIKE_A_KEY
from shared.events import record
from shared.http_tls import trusted_with
from tests.servers.model import ROOT, free_port
from tests.shared.consuming import added, produce

SECTION = re.compile(r"^## Opening it to your team\n(.*?)^## ", re.S | re.M)
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.S | re.M)
IN_README, GATEWAY, SERVICES, KEY_ID = "192.0.2.10", ":8080", ":8081", "5f2c9a1b03de"
DEMO = "licences"
OURS = next((one for one in own_addresses() if ":" not in one), "")
START_SECONDS, KEY_SECONDS = 120.0, 10.0
TUNELOOP = """\
#!/bin/sh
PORTS="--gateway-port {gateway} --services-port {services} --kafka-port 0 --clickhouse-port 0"
[ "$1" = up ] && set -- "$@" $PORTS
exec {python} -m deploy "$@"
"""
"""As `make` installs it, but for free ports."""

pytestmark = [
    pytest.mark.skipif(not OURS, reason="this machine has no IPv4 address besides loopback"),
    pytest.mark.skipif(
        not all(map(shutil.which, ("curl", "git", "openssl"))), reason="no curl, git or openssl"
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
    """Somebody with a clone, who copies what the README says into terminals."""

    folder: Path
    gateway: int
    services: int
    models_url: str
    key_id: str = KEY_ID
    up: subprocess.Popen[bytes] | None = None

    def install(self) -> None:
        command = self.folder / ".venv" / "bin" / "tuneloop"
        command.parent.mkdir(parents=True)
        ports = {"gateway": self.gateway, "services": self.services}
        command.write_text(TUNELOOP.format(python=sys.executable, **ports))
        command.chmod(0o755)

    def type(self, block: str) -> str:
        """What a new terminal prints on standard output. Raises AssertionError where a command fails."""
        done = subprocess.run(
            self._shell(block),
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, block: str) -> Running:
        """Of a block whose last command stays until Ctrl-C."""
        with (self.folder / "out").open("wb") as out:
            self.up = subprocess.Popen(
                self._shell(block),
                cwd=self.folder,
                env=self._environment(),
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS
        while self.up.poll() is None and time.monotonic() < until:
            try:
                found = running(self.folder / ".tuneloop" / "up")
                if found.gateway_url:  # else it is `keys create` that runs
                    return found
            except LaptopError:
                pass
            time.sleep(0.2)  # another process: there is nothing to await
        raise AssertionError((self.folder / "out").read_text())

    def press_ctrl_c(self) -> None:
        """It goes to all that the terminal runs."""
        if self.up is not None:
            os.killpg(self.up.pid, signal.SIGINT)
            assert self.up.wait(60) in (130, -signal.SIGINT)
            self.up = None

    def _shell(self, block: str) -> list[str]:
        replaced = {
            IN_README: OURS,
            GATEWAY: f":{self.gateway}",
            SERVICES: f":{self.services}",
            KEY_ID: self.key_id,
        }
        for said, meant in replaced.items():
            block = block.replace(said, meant)
        return ["sh", "-e", "-c", block]

    def _environment(self) -> dict[str, str]:
        own = ("TUNELOOP_", "KAFKA_", "HTTP_", "CLICKHOUSE_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        return kept | {"PYTHONPATH": str(ROOT), "MODELS_URL": self.models_url}


@contextmanager
def following(folder: Path) -> Iterator[Follower]:
    models = ThreadingHTTPServer(("127.0.0.1", 0), Models)
    serving = Thread(target=models.serve_forever)
    serving.start()
    follower = Follower(folder, free_port(), free_port(), f"http://127.0.0.1:{models.server_port}")
    follower.install()
    try:
        yield follower
    finally:
        follower.press_ctrl_c()
        models.shutdown()
        serving.join()
        models.server_close()


def make_up(follower: Follower) -> None:
    """As `make up` leaves it, but that nothing is trained: the demo's workload is there."""
    found = follower.start(".venv/bin/tuneloop up")
    event = record(added(DEMO), "workloads")
    produce(found.addresses.kafka_bootstrap_servers, event.topic, {0: [event.value]})
    until = time.monotonic() + KEY_SECONDS
    while httpx.get(f"{found.services_url}/workloads/{DEMO}").status_code != 200:
        assert time.monotonic() < until, "the workload is not known"
        time.sleep(0.1)  # another process: there is nothing to await
    follower.press_ctrl_c()


def section() -> str:
    found = SECTION.search((ROOT / "README.md").read_text("utf-8"))
    assert found is not None
    return found[1]


def test_it_works_as_it_is_written(tmp_path: Path) -> None:
    on_the_host, second_terminal, elsewhere = BLOCK.findall(section())
    with following(tmp_path) as follower:
        make_up(follower)
        follower.start(on_the_host)
        ben_s_key, shop_is_told = follower.type(second_terminal).split("\n", 1)
        answer = json.loads(shop_is_told)
        assert answer["status"] in (404, 503), answer
        assert "key" not in answer["detail"], "its key is taken; only a champion is missing"
        follower.key_id = ben_s_key[3:15]
        trust = trusted_with(str(tmp_path / "tls.pem"))
        with httpx.Client(base_url=f"https://{OURS}:{follower.services}", verify=trust) as ben:
            html = {"accept": "text/html"}
            by_key = ben.get("/", headers=html | {"authorization": f"Bearer {ben_s_key}"})
            assert "The service workloads does not answer" not in by_key.text
            to_sign_in = ben.get("/review?workload=licences", headers=html)
            assert to_sign_in.headers["location"] == "/sign-in?next=%2Freview%3Fworkload%3Dlicences"
            signed_in = ben.post("/sign-in", data={"key": ben_s_key, "next": "/review"})
            assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/review")
            page = ben.get("/review", headers=html)
            assert "Sign out" in page.text
            assert "/audit-log" not in page.text
            audit_log = ben.get("/audit-log", headers=html)
            assert (audit_log.status_code, "may not audit here" in audit_log.text) == (403, True)
            assert ben.post(f"/workloads/{DEMO}/rollback", json={"reason": "x"}).status_code == 403
            by_anna = follower.type(elsewhere)
            assert DEMO in by_anna
            assert f"The key {follower.key_id} of ben is revoked" in by_anna
            assert not LOOKS_LIKE_A_KEY.search(by_anna)
            until = time.monotonic() + KEY_SECONDS
            while ben.get("/workloads").status_code != 401:
                assert time.monotonic() < until, "the session outlives its key"
                time.sleep(0.1)  # another process: there is nothing to await


def test_no_secret_that_it_writes_can_be_committed_or_read_by_others(tmp_path: Path) -> None:
    first, *_ = BLOCK.findall(section())
    written = set(re.findall(r"(?:>|-keyout|-out) (\S+)", first))
    assert {"tls-key.pem", "anna.key"} <= written
    assert first.startswith("umask 077"), "before anything is written"
    shutil.copy(ROOT / ".gitignore", tmp_path)
    subprocess.run(["git", "init", "--quiet", "."], cwd=tmp_path, check=True)
    ignored = subprocess.run(["git", "check-ignore", *written], cwd=tmp_path, capture_output=True, text=True)
    assert set(ignored.stdout.split()) == written
