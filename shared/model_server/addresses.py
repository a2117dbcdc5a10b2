"""MODELS_URL: one server or several, by address or by a name that stands for several."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

LOCALHOST = "localhost"


@dataclass(frozen=True)
class Address:
    """Where one server is asked; if that is one of a name's addresses, also under which name."""

    url: str
    host: str = ""
    server_name: str | None = None
    """Whose certificate it shows, with https."""


def urls_in(setting: str) -> list[str]:
    """What is separated by commas; an empty setting is one server that nobody can reach."""
    return [url.strip().rstrip("/") for url in setting.split(",") if url.strip()] or [""]


def is_one_address(url: str) -> bool:
    """Whether the URL stands for one server for good, because no name has to be looked up for it."""
    host = urlsplit(url).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host in (LOCALHOST, "")
    return True


async def addresses_of(url: str) -> list[Address]:
    """All that the URL stands for now. Raises OSError if its name is unknown.

    A name's addresses of one family: the other family's are most often the same servers.
    """
    if is_one_address(url):
        return [Address(url)]
    parts = urlsplit(url)
    host = parts.hostname or ""
    found = await asyncio.get_running_loop().getaddrinfo(host, parts.port or 0, type=socket.SOCK_STREAM)
    hosts = {str(address[0]) for family, *_, address in found if family == socket.AF_INET}
    hosts = hosts or {f"[{address[0]}]" for *_, address in found}
    if len(hosts) == 1:
        return [Address(url)]
    return [
        Address(
            urlunsplit(parts._replace(netloc=f"{each}:{parts.port}" if parts.port else each)),
            parts.netloc,
            host if parts.scheme == "https" else None,
        )
        for each in sorted(hosts)
    ]
