"""Which ports the laptop's servers listen on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.laptop.errors import LaptopError
from shared.files import write_atomically
from shared.loopback import NAME, CannotListen, bound_sockets


def choose_ports(
    asked: Mapping[str, int],
    kept: Mapping[str, int],
    is_taken: Callable[[int], bool],
    any_free: Callable[[], int],
) -> dict[str, int]:
    """A port for every name asked for; 0 means the one kept from the last run, or any that is free.

    Raises LaptopError when a port that was asked for cannot be had.
    """
    chosen: dict[str, int] = {}
    for name, port in sorted(asked.items(), key=lambda item: item[1] == 0):  # the fixed ones first
        if port == 0:
            candidate = kept.get(name, 0)
            while candidate == 0 or candidate in chosen.values() or is_taken(candidate):
                candidate = any_free()
            chosen[name] = candidate
        elif port in chosen.values():
            other = next(one for one, taken in chosen.items() if taken == port)
            raise LaptopError(
                f"Port {port} is asked for twice, by {other} and {name}. "
                f"Choose another: {_option(name, port)}"
            )
        elif is_taken(port):
            raise LaptopError(
                f"Port {port} is taken by another program. Stop it, or choose another: {_option(name, port)}"
            )
        else:
            chosen[name] = port
    return {name: chosen[name] for name in asked}


def _option(name: str, port: int) -> str:
    instead = port + 10_000 if port + 10_000 < 65_536 else 0
    return f"tuneloop up --{name}-port {instead}"


def is_taken(port: int, host: str = NAME) -> bool:
    """Whether another program listens on this port of a loopback address, or of this one."""
    try:
        for one in bound_sockets(NAME, port, *([host] if host != NAME else [])):
            one.close()
    except CannotListen:
        return True
    return False


def any_free_port() -> int:
    """A port nobody listens on now."""
    sockets = bound_sockets(NAME, 0)
    port = int(sockets[0].getsockname()[1])
    for one in sockets:
        one.close()
    return port


def kept_ports(file: Path) -> dict[str, int]:
    """The ports of the last run, by name; empty if there was none."""
    return {name: int(port) for name, port in json.loads(file.read_text()).items()} if file.exists() else {}


def keep_ports(file: Path, chosen: Mapping[str, int]) -> None:
    """Remembers these ports besides those of programs that were not started this time."""
    write_atomically(file, json.dumps(kept_ports(file) | dict(chosen)).encode())
