"""This machine's own addresses: both are listened on, and no proxy is asked for them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

IPV4, IPV6, NAME = "127.0.0.1", "::1", "localhost"
HOSTS = (IPV4, NAME, IPV6)
TRIES = 20


class CannotListen(Exception):
    """The port is taken or cannot be had. The message says which, and what to do."""


def loopback_addresses() -> tuple[str, ...]:
    """What `localhost` may stand for here: IPv4's address and, where this machine has it, IPv6's."""
    try:
        _bound(IPV6, 0).close()
    except OSError:
        return (IPV4,)
    return (IPV4, IPV6)


def bound_sockets(host: str, port: int, *others: str) -> list[socket.socket]:
    """Sockets on one port of `host` and of the `others`, to be listened on; 0 is any free port.

    `localhost` is every loopback address: some programs take it for IPv6's first. Raises CannotListen.
    """
    addresses = [one for name in (host, *others) for one in _addresses(name)]
    for _ in range(TRIES if port == 0 else 1):
        sockets: list[socket.socket] = []
        try:
            for address in addresses:
                same = sockets[0].getsockname()[1] if sockets else port
                sockets.append(_bound(address, same))
        except OSError as error:
            reason = error
            for one in sockets:
                one.close()
        else:
            return sockets
    if reason.errno == errno.EADDRINUSE:
        raise CannotListen(f"port {port} is taken: stop what listens there, or choose another --port")
    where = " and ".join((host, *others))
    raise CannotListen(f"port {port} of {where} cannot be had ({reason.strerror}): choose another --port")


def _addresses(host: str) -> tuple[str, ...]:
    return loopback_addresses() if host == NAME else (host,)


def is_loopback(sockets: Iterable[socket.socket]) -> bool:
    """Whether none of them can be reached from another machine."""
    return all(ip_address(one.getsockname()[0]).is_loopback for one in sockets)


def is_this_machine(url: str) -> bool:
    """Whether what is asked there never leaves this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == NAME


def _bound(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # asyncio sets TCP_NODELAY where the protocol is named; without it a second small answer waits 40 ms.
    one = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if one.family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind((address, port))
    except OSError:
        one.close()
        raise
    return one


def no_proxy_for_loopback(environment: Mapping[str, str]) -> dict[str, str]:
    """What to set besides `environment`, so that http_proxy and its like leave this machine's servers alone.

    Both spellings, because libraries differ in which they read first, and each keeps what it said.
    """
    small, capital = environment.get("no_proxy", ""), environment.get("NO_PROXY", "")
    return {"no_proxy": _with_loopback(small or capital), "NO_PROXY": _with_loopback(capital or small)}


def _with_loopback(hosts: str) -> str:
    named = [host.strip() for host in hosts.split(",") if host.strip()]
    if "*" in named:
        return "*"  # everything already; some libraries know it only when it stands alone
    return ",".join(named + [host for host in HOSTS if host not in named])
