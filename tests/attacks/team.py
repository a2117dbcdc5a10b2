"""A second installation: opened to the network by TLS, with keys, of which insiders have some."""

from __future__ import annotations

import atexit
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from deploy.laptop.opening import own_addresses
from deploy.laptop.running import running
from shared.events import record
from shared.http_tls import trusted_with
from tests.attacks.asking import ANSWER_SECONDS
from tests.attacks.attack import Attack, attack
from tests.attacks.target import Target, installation
from tests.servers.certificates import self_signed
from tests.servers.model import ROOT
from tests.shared.consuming import added, produce

OURS, THEIRS = "ours", "theirs"
"""Two workloads; the app's key is for the first."""
ROLES = {"reviewer": (), "auditor": (), "app": ("--workload", OURS)}
KEY_SECONDS = 10.0
KNOWN_SECONDS = 30.0


@dataclass(frozen=True)
class Team:
    target: Target
    host: str
    gateway: str
    """By its address on the network, as `services`."""
    services: str
    keys: dict[str, str]
    """By role."""
    trust: ssl.SSLContext

    @property
    def doors(self) -> dict[str, str]:
        return {"gateway": self.gateway, "services": self.services}

    def client(self, **more: Any) -> httpx.Client:
        return httpx.Client(verify=self.trust, timeout=ANSWER_SECONDS, trust_env=False, **more)

    def asked(self, method: str, url: str, key: str = "", **more: Any) -> httpx.Response:
        """An answer, whatever it is. `key` is sent as it is to be, if one is given."""
        headers = {**more.pop("headers", {}), **({"authorization": f"Bearer {key}"} if key else {})}
        with self.client(headers=headers) as client:
            return client.request(method, url, **more)

    def make(self, name: str, *more: str) -> dict[str, Any]:
        """A key, made on the host."""
        made: dict[str, Any] = json.loads(
            tuneloop("keys", "create", name, *more, "--json", "--data", str(self.target.data)).stdout
        )
        return made


Run = Callable[[Team], str]


def tuneloop(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command as it ends, whatever it says."""
    told = {name: value for name, value in os.environ.items() if not name.startswith("TUNELOOP_")}
    return subprocess.run(
        [sys.executable, "-m", "deploy", *words],
        cwd=ROOT,
        env={**told, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@cache
def team(models_url: str) -> Team:
    """Started once, and ended with this process. The model server is the other installation's."""
    stack = ExitStack()
    atexit.register(stack.close)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="attacked-team-")))
    host = next(one for one in own_addresses() if ":" not in one)
    made = self_signed(folder, host)
    first = tuneloop("keys", "create", "anna", "--role", "operator", "--json", "--data", str(folder / "data"))
    keys = {"operator": json.loads(first.stdout)["key"]}
    environment = {**made.settings, "MODELS_URL": models_url}
    target = stack.enter_context(installation(folder, "--host", host, environment=environment))
    doors = running(target.data)
    gateway, services = (
        f"https://{host}:{url.rpartition(':')[2]}" for url in (doors.gateway_url, doors.services_url)
    )
    there = Team(target, host, gateway, services, keys, trusted_with(str(made.certificate)))
    for name in (OURS, THEIRS):
        event = record(added(name), "workloads")
        produce(target.kafka, event.topic, {0: [event.value]})
    _awaited(lambda: _knows(there, OURS) and _knows(there, THEIRS))
    keys |= {role: there.make(role, "--role", role, *more)["key"] for role, more in ROLES.items()}
    _awaited(lambda: there.asked("GET", f"{there.gateway}/v1/models", keys["app"]).status_code == 200)
    return there


def on_team(run: Run) -> Attack:
    """On an installation that is open to the network and has keys."""

    def on_the_one(target: Target) -> str:
        there = team(target.models)
        return run(there) or (
            "" if there.target.is_well() else "the team's installation is not well afterwards"
        )

    on_the_one.__name__, on_the_one.__doc__ = run.__name__, run.__doc__
    on_the_one.__module__ = run.__module__
    return attack(on_the_one)


def _knows(team: Team, workload: str) -> bool:
    return (
        team.asked("GET", f"{team.services}/workloads/{workload}", team.keys["operator"]).status_code == 200
    )


def _awaited(is_so: Callable[[], bool], seconds: float = KNOWN_SECONDS) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until:
            raise TimeoutError("the team's installation does not get ready")
        time.sleep(0.2)  # another process: there is nothing to await
