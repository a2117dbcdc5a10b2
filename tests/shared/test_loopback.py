"""A proxy in the environment is never asked for this machine's own servers."""

from __future__ import annotations

import pytest

from shared.loopback import no_proxy_for_loopback

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
