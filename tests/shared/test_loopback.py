"""This machine's own servers: on every loopback address, and never behind a proxy."""

from __future__ import annotations

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
