"""Which key is meant, and which should not end by mistake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.expected_error import ExpectedError
from deploy.keys_listed import Key, id_meant, is_last_that_makes_keys
from shared.access.api_key import new_key
from shared.access.roles import Role

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def key(key_id: str, **more: Any) -> Key:
    said = {
        "key_id": key_id,
        "name": "anna",
        "principal": "p-anna",
        "role": Role.OPERATOR,
        "workloads": None,
        "expires_at": None,
        "revoked_at": None,
    }
    return Key.model_validate(said | more)


def test_of_a_whole_key_its_id_alone_is_sent() -> None:
    made = new_key()
    assert id_meant(made.text) == id_meant(made.key_id) == made.key_id
    assert id_meant("5f2") == "5f2"


@pytest.mark.parametrize("said", ["", "a/b", "a?b", "../keys", "x", "5F2C", "5f2c9a1b03de0", "5f2c\n", "5 f"])
def test_what_can_be_no_id_reaches_no_path(said: str) -> None:
    with pytest.raises(ExpectedError, match="tuneloop keys list"):
        id_meant(said)


def test_a_secret_that_lacks_a_letter_is_not_repeated() -> None:
    cut = new_key().text[:-1]
    with pytest.raises(ExpectedError) as refused:
        id_meant(cut)
    assert cut[-20:] not in str(refused.value)


OTHERS_THAT_MAKE_NONE = [
    {"role": Role.REVIEWER},
    {"workloads": ["tickets"]},
    {"revoked_at": NOW},
    {"expires_at": NOW},
]


@pytest.mark.parametrize("more", OTHERS_THAT_MAKE_NONE)
def test_the_last_key_that_makes_keys_is_known(more: dict[str, Any]) -> None:
    keys = [key("aa1"), key("bb1", **more)]
    assert is_last_that_makes_keys("aa", keys, NOW)
    assert not is_last_that_makes_keys("bb", keys, NOW)
    assert not is_last_that_makes_keys("aa", [key("aa1"), key("bb1")], NOW)
    assert not is_last_that_makes_keys("aa", [key("aa1", **more)], NOW), "it made none before"


def test_a_key_says_until_when_it_opens() -> None:
    assert key("aa").until(NOW) == "for ever"
    assert key("aa", expires_at=NOW + timedelta(days=1)).until(NOW) == "until 2026-11-28"
    assert key("aa", expires_at=NOW).until(NOW) == "expired 2026-11-27"
    assert key("aa", revoked_at=NOW, expires_at=NOW).until(NOW) == "revoked 2026-11-27"
