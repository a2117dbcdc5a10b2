"""A second installation, where keys are on: some attacks are only worth trying there."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from deploy.laptop.running import running
from tests.attacks.asking import asked
from tests.attacks.desk import KNOWN_SECONDS, within
from tests.attacks.target import Target, installation
from tests.servers.services import until_taken


@dataclass(frozen=True)
class Keyed:
    target: Target
    host: Mapping[str, str] = field(repr=False)
    """What its owner sends, who may do everything."""

    def key_of(self, name: str, role: str) -> Mapping[str, str]:
        """What somebody sends who was given a key."""
        body = {"name": name, "role": role}
        url = f"{self.target.services}/keys"
        made = until_taken(lambda: asked("POST", url, headers=self.host, json=body))
        made.raise_for_status()
        headers = {"authorization": f"Bearer {made.json()['key']}"}
        url = f"{self.target.services}/v1/nothing"
        if not within(KNOWN_SECONDS, lambda: asked("GET", url, headers=headers).status_code != 401):
            raise RuntimeError(f"the key of {name} never came to be known")
        return headers


@cache
def keyed() -> Keyed:
    """Started when it is first asked for, and stopped when the program ends."""
    stack = ExitStack()
    atexit.register(stack.close)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="attacks-keyed-")))
    target = stack.enter_context(installation(folder))
    return Keyed(target, {"authorization": f"Bearer {running(target.data).host_key()}"})
