"""A page may speak to where it came from, and to who lists it."""

from __future__ import annotations

import pytest

from shared.http_doors.own_origins import is_same_origin, may_speak

HOST = b"localhost:8081"


@pytest.mark.parametrize(
    "origin", [b"http://localhost:8081", b"https://localhost:8081", b"http://LOCALHOST:8081"]
)
def test_our_own_page_may_speak_also_behind_a_proxy_that_speaks_tls(origin: bytes) -> None:
    assert is_same_origin(origin, HOST)


@pytest.mark.parametrize(
    "origin",
    [
        b"", b"null", b"http://localhost", b"http://localhost:8080", b"http://127.0.0.1:8081",
        b"localhost:8081", b"file://localhost:8081", b"http://localhost:8081.attacker.example", b"http://attacker.example",
        b"http://attacker.example#http://localhost:8081",
    ],
)  # fmt: skip
def test_every_other_origin_is_foreign(origin: bytes) -> None:
    assert not is_same_origin(origin, HOST)
    assert not may_speak(origin, HOST, {b"https://app.example.org"})


def test_a_listed_origin_may_speak_and_a_star_lists_all() -> None:
    assert may_speak(b"https://app.example.org", HOST, {b"https://app.example.org"})
    assert may_speak(b"http://anybody.example", HOST, {b"*"})


def test_by_tls_a_page_that_came_by_plain_http_is_not_ours() -> None:
    assert is_same_origin(b"https://" + HOST, HOST, is_tls=True)
    assert not is_same_origin(b"http://" + HOST, HOST, is_tls=True)
    assert not may_speak(b"http://" + HOST, HOST, set(), is_tls=True)
