"""Whether a request was sent to a name of ours. A web page can make its own name mean this machine."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv6Address, ip_address

LOCALHOST = "localhost"


def is_own_host(host: bytes, names: Collection[str]) -> bool:
    """Whether a Host header names this process: localhost, any IP address, or one of `names`, and any port.

    DNS rebinding needs a name: a page that was loaded from an address of ours is ours. `names` are
    in small letters, without ports.
    """
    try:
        name, port = _parted(host.decode("ascii").lower())
    except ValueError:
        return False
    return (not port or port.isdigit()) and (name == LOCALHOST or name in names or _is_address(name))


def _parted(host: str) -> tuple[str, str]:
    """Name and port. Raises ValueError for a bracket that holds no IPv6 address."""
    if host.startswith("["):
        address, end, rest = host[1:].partition("]")
        if not end or (rest and not rest.startswith(":")):
            raise ValueError(host)
        return str(IPv6Address(address)), rest[1:]
    name, _, port = host.partition(":")
    return name.removesuffix("."), port


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
