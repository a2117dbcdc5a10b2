"""Claims that we sign are read for what they were signed for, until they end, and by who has the secret."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.access.signed_claims import NotOurs, Over, read_claims, signed_claims
from tests.shared.access.test_keys import NOW

SECRET, HOUR = "ab" * 32, timedelta(hours=1)
TOKEN = signed_claims({"sub": "p-anna"}, "session", SECRET, NOW, HOUR)


def test_what_was_signed_is_read_until_it_ends() -> None:
    assert read_claims(TOKEN, "session", SECRET, NOW + HOUR - timedelta(seconds=1))["sub"] == "p-anna"
    with pytest.raises(Over):
        read_claims(TOKEN, "session", SECRET, NOW + HOUR)


@pytest.mark.parametrize(
    ("token", "audience", "secret"),
    [
        (TOKEN, "something else", SECRET),
        (TOKEN, "session", "cd" * 32),
        (TOKEN, "session", ""),
        (TOKEN[:-2], "session", SECRET),
        ("", "session", SECRET),
    ],
)
def test_what_is_not_ours_for_that_is_nothing(token: str, audience: str, secret: str) -> None:
    for later in (timedelta(0), HOUR):
        with pytest.raises(NotOurs) as refused:
            read_claims(token, audience, secret, NOW + later)
        assert not isinstance(refused.value, Over), "who may not read it does not learn when it ends"
