"""How another command finds the system that runs over a data folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from deploy.laptop.errors import LaptopError
from deploy.laptop.folder_lock import is_locked
from shared.access.host_key import host_key_file
from shared.addresses import Addresses
from shared.files import write_secret

FILE = "running.json"


@dataclass(frozen=True)
class Running:
    """Where a running system answers."""

    addresses: Addresses
    gateway_url: str
    services_url: str
    data: Path

    def host_key(self) -> str:
        """Whoever may read the data folder may do everything; empty while there is none yet."""
        try:
            return host_key_file(state_of(self.data, "services")).read_text("utf-8")
        except FileNotFoundError:
            return ""


def state_of(data: Path, process: str) -> Path:
    """The state folder of a process that runs services."""
    return data / "state" / process


def running(data: Path) -> Running:
    """The system that runs over this data folder. Raises LaptopError if none does."""
    data = data.resolve()
    if not is_locked(data):
        raise LaptopError(f"tuneloop does not run in {data}. Start it: tuneloop up --data {data}")
    try:
        kept = json.loads((data / FILE).read_text())
    except FileNotFoundError:
        raise LaptopError(f"tuneloop is starting or stopping in {data}. Try again in a moment.") from None
    return Running(Addresses(**kept["addresses"]), kept["gateway_url"], kept["services_url"], data)


def keep_running(data: Path, system: Running) -> None:
    """Writes down where it answers, for `running`. It holds a password: only its owner may read it."""
    kept = {
        "addresses": system.addresses.model_dump(mode="json"),
        "gateway_url": system.gateway_url,
        "services_url": system.services_url,
    }
    write_secret(data / FILE, json.dumps(kept))


def forget_running(data: Path) -> None:
    """From now on `running` finds nothing here."""
    (data / FILE).unlink(missing_ok=True)
