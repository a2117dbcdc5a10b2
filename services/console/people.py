"""Who somebody is whom an identity provider vouches for: an opaque id, and the role of a group of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.access.person_id import person_id
from shared.access.principal import Principal
from shared.access.roles import Role
from shared.access.session import Session

NAMES = ("name", "preferred_username", "email")


def session_of_claims(
    claims: Mapping[str, Any], roles_claim: str, roles: Mapping[str, Role], subject_key: str
) -> Session | None:
    """None: in none of the groups that have a role. `claims` are of a proven ID token."""
    found = claims.get(roles_claim)
    groups = found if isinstance(found, list) else [found]
    role = next((role for group, role in roles.items() if group in groups), None)
    if role is None:
        return None
    return Session(Principal(person_id(subject_key, claims["iss"], claims["sub"]), role), name_of(claims))


def name_of(claims: Mapping[str, Any]) -> str:
    return next((str(claims[one]) for one in NAMES if claims.get(one)), "")
