"""Who comes in by a provider, and as what."""

from __future__ import annotations

from typing import Any

import pytest

from services.console.people import session_of_claims
from services.console.settings import Settings
from shared.access.person_id import person_id
from shared.access.roles import Role

ROLES = {"ml-ops": Role.OPERATOR, "support": Role.REVIEWER}
ANNA = {"iss": "https://login.example.org", "sub": "4711", "name": "Anna", "email": "anna@example.org"}
KEY = "ab" * 32


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["support", "ml-ops"], Role.OPERATOR),
        (["other", "support"], Role.REVIEWER),
        ("support", Role.REVIEWER),
        (["other"], None),
        ([], None),
        (None, None),
        ({"ml-ops": True}, None),
        ("ml-ops,support", None),
        ([["ml-ops"]], None),
    ],
)
def test_the_first_of_the_groups_that_have_a_role_counts_and_without_one_nobody_comes_in(
    groups: Any, role: Role | None
) -> None:
    session = session_of_claims(ANNA | {"groups": groups}, "groups", ROLES, KEY)
    assert (session.principal.role if session else None) == role


def test_a_person_is_an_opaque_id_that_stays_whatever_they_are_called() -> None:
    before = session_of_claims(ANNA | {"groups": "support"}, "groups", ROLES, KEY)
    after = session_of_claims(
        {**ANNA, "name": "Anna B", "email": "b@example.org", "groups": "ml-ops"}, "groups", ROLES, KEY
    )
    assert before is not None
    assert after is not None
    assert before.principal.id == after.principal.id
    assert (before.name, after.name) == ("Anna", "Anna B")
    assert before.principal.key_id == ""
    assert before.principal.id == person_id(KEY, ANNA["iss"], ANNA["sub"])
    assert before.principal.id == person_id(KEY, f"{ANNA['iss']}/", ANNA["sub"]), "providers differ in it"
    others = {
        person_id("cd" * 32, ANNA["iss"], ANNA["sub"]),
        person_id(KEY, "https://other.example.org", ANNA["sub"]),
        person_id(KEY, ANNA["iss"], "4712"),
    }
    assert before.principal.id not in others
    assert len(others) == 3


WHOLE: dict[str, Any] = {
    "oidc_issuer": "https://login.example.org",
    "oidc_client_id": "tuneloop",
    "oidc_client_secret": "s3cret",
    "oidc_roles": ROLES,
}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, ""),
        ({"oidc_issuer": ""}, ""),
        ({"oidc_issuer": "http://127.0.0.1:9400"}, ""),
        ({"oidc_issuer": "http://login.example.org"}, "has to be https://"),
        ({"oidc_client_id": ""}, "OIDC_CLIENT_ID and OIDC_ROLES"),
        ({"oidc_roles": {}}, "OIDC_CLIENT_ID and OIDC_ROLES"),
        ({"oidc_scope": "profile"}, "without openid"),
    ],
)
def test_a_provider_by_which_nobody_could_sign_in_is_said(given: dict[str, Any], said: str) -> None:
    complaint = Settings(**WHOLE | given).oidc_complaint(KEY)
    assert said in complaint
    assert bool(said) == bool(complaint)


def test_people_become_ids_by_a_key_that_has_to_be_there() -> None:
    assert "SUBJECT_KEY" in Settings(**WHOLE).oidc_complaint("")


def test_the_secret_is_shown_by_no_repr() -> None:
    assert "s3cret" not in repr(Settings(**WHOLE))
