"""Whether a laptop may be opened to other machines: found out before anything is started."""

from __future__ import annotations

import socket
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

import psutil

from deploy.laptop.errors import LaptopError
from deploy.laptop.running import state_of
from shared.access.admission import KNOWN_KEYS, Admission
from shared.events.envelope import now
from shared.http_conventions import HttpSettings
from shared.http_tls import CannotUseTls, tls_beyond_loopback
from shared.loopback import HOSTS, CannotListen, bound_sockets


def refuse_to_open(host: str, data: Path, settings: HttpSettings) -> None:
    """Raises LaptopError where `host` is no address of ours, keys would be readable, or nobody could operate.

    Without a host it is opened by a proxy that the settings name, or not at all.
    """
    if host:
        _refuse_address(host)
        try:
            tls_beyond_loopback(settings)
        except CannotUseTls as refusal:
            raise LaptopError(str(refusal)) from None
    elif not settings.is_for_others:
        return
    if not has_usable_key(data, now()):
        raise LaptopError(
            f"Nobody could operate it: no operator's key opens anything in {data}. Make one first, on this "
            f"machine: tuneloop keys create NAME --role operator --data {data}"
        )


def has_usable_key(data: Path, at: datetime) -> bool:
    """Whether an operator's key opened all of it when services last ran, and still does."""
    kept = Admission.restored(now, state_of(data, "services") / KNOWN_KEYS, beyond_loopback=True)
    return kept.keys.any_operates(at)


def refuse_no_host(host: str | None) -> None:
    """Raises LaptopError where one was to be given and is empty, as an unset variable is."""
    if host is not None and not host.strip():
        raise LaptopError(
            f"--host takes an address, and nothing stands there: an unset variable? {_this_machine()}"
        )


def is_beyond_loopback(host: str) -> bool:
    return bool(host) and host not in HOSTS


def _refuse_address(host: str) -> None:
    this_machine = _this_machine()
    try:
        address = ip_address(host)
    except ValueError:
        raise LaptopError(
            f"--host takes an address, and “{host}” is none. {this_machine} Names that users ask by go into "
            "HTTP_HOSTS."
        ) from None
    if address.is_unspecified:
        raise LaptopError(f"--host takes one address, and {host} is all of them. {this_machine}")
    try:
        for one in bound_sockets(host, 0):
            one.close()
    except CannotListen:
        raise LaptopError(f"{host} is no address of this machine. {this_machine}") from None


def _this_machine() -> str:
    return f"This machine has {', '.join(own_addresses()) or 'none'}."


def own_addresses() -> list[str]:
    """By which other machines may reach this one; addresses of a link alone are left out."""
    found = [
        one.address
        for addresses in psutil.net_if_addrs().values()
        for one in addresses
        if one.family in (socket.AF_INET, socket.AF_INET6) and "%" not in one.address
    ]
    return [one for one in found if not ip_address(one).is_loopback and not ip_address(one).is_link_local]
