"""This machine's own servers: on every loopback address, and never behind a proxy."""

from __future__ import annotations

import asyncio
import socket

import pytest

from shared.loopback import CannotListen, bound_sockets, loopback_addresses, no_proxy_for_loopback

OURS = "127.0.0.1,localhost,::1"


@pytest.mark.parametrize(
    ("environment", "small", "capital"),
    [
        ({}, OURS, OURS),
        ({"NO_PROXY": "corp.example"}, f"corp.example,{OURS}", f"corp.example,{OURS}"),
        ({"no_proxy": "a", "NO_PROXY": "b"}, f"a,{OURS}", f"b,{OURS}"),
        ({"no_proxy": " localhost , "}, "localhost,127.0.0.1,::1", "localhost,127.0.0.1,::1"),
        ({"no_proxy": "*"}, "*", "*"),
    ],
)
def test_loopback_is_added_to_what_was_named(environment: dict[str, str], small: str, capital: str) -> None:
    assert no_proxy_for_loopback(environment) == {"no_proxy": small, "NO_PROXY": capital}


def test_localhost_is_one_port_of_every_loopback_address() -> None:
    sockets = bound_sockets("localhost", 0)
    places = [one.getsockname()[:2] for one in sockets]
    for one in sockets:
        one.close()
    assert [address for address, _ in places] == list(loopback_addresses())
    assert len({port for _, port in places}) == 1


def test_an_address_is_that_address_alone() -> None:
    [one] = bound_sockets("127.0.0.1", 0)
    with one:
        assert one.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("address", loopback_addresses())
def test_a_port_taken_on_one_address_is_taken(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=f"^port {port} is taken: stop what listens there, or choose"):
            bound_sockets("localhost", port)


async def test_a_small_answer_never_waits_for_the_one_before_to_be_acknowledged() -> None:
    """Nagle's algorithm holds it back, and a client acknowledges late when it has nothing to send: 40 ms."""
    asked = asyncio.get_running_loop().create_future()

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        its_socket = writer.get_extra_info("socket")
        asked.set_result(its_socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    [bound] = bound_sockets("127.0.0.1", 0)
    server = await asyncio.start_server(on_connection, sock=bound)
    _, writer = await asyncio.open_connection(*bound.getsockname())
    assert await asyncio.wait_for(asked, 10)
    writer.close()
    server.close()
