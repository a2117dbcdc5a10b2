"""Whoever asks by a name that is not ours is a page whose name was made to mean this machine."""

from __future__ import annotations

import pytest

from shared.http_doors.own_hosts import is_own_host

NAMES = {"tuneloop.example.org", "model_gateway"}


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "localhost:8080", "LOCALHOST:8080", "localhost.", "127.0.0.1:8080", "192.168.1.7:8080",
        "[::1]:8080", "[::1]", "tuneloop.example.org", "Tuneloop.Example.Org:443", "model_gateway:8080",
    ],
)  # fmt: skip
def test_localhost_addresses_and_listed_names_are_ours_at_any_port(host: str) -> None:
    assert is_own_host(host.encode(), NAMES)


@pytest.mark.parametrize(
    "host",
    [
        "", "attacker.example", "localhost.attacker.example", "127.0.0.1.attacker.example:8080",
        "localhost:8080@attacker.example", "attacker.example@localhost", "tuneloop.example.org.a.example",
        "xtuneloop.example.org", "[::1", "[localhost]:80", "[::1]attacker.example", "localhost:x",
        "2130706433", "0x7f.1", "::1", "localhost localhost",
    ],
)  # fmt: skip
def test_what_only_looks_like_ours_is_not(host: str) -> None:
    assert not is_own_host(host.encode(), NAMES)


def test_bytes_that_are_no_name_are_refused() -> None:
    assert not is_own_host(b"\xff\xfe", NAMES)
