"""What a browser that signed in holds: who that is, signed, for some hours.

It names the key that was shown, and ends with it: a session lasts no longer than what let it in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.access.principal import Principal
from shared.access.roles import Role
from shared.access.signed_claims import NotOurs, Over, read_claims, signed_claims

AUDIENCE = "tuneloop"
LASTS = timedelta(hours=8)


class NoSession(Exception):
    """It is none of ours, or it is over. The message says what to do."""


@dataclass(frozen=True)
class Session:
    principal: Principal
    """As it was when it began. Of one that began with a key, the key says what it may do now."""
    name: str
    """What the person is called, for the person's own eyes."""


def signed(session: Session, secret: str, now: datetime) -> str:
    principal = session.principal
    claims = {
        "sub": principal.id,
        "name": session.name,
        "role": principal.role.value,
        "workloads": None if principal.workloads is None else sorted(principal.workloads),
        "key_id": principal.key_id,
    }
    return signed_claims(claims, AUDIENCE, secret, now, LASTS)


def looks_like_a_session(token: str) -> bool:
    """Three parts between dots (RFC 7519): what has another form was meant as something else."""
    return token.count(".") == 2


def read_session(token: str, secret: str, now: datetime) -> Session:
    """Raises NoSession."""
    try:
        return _session(read_claims(token, AUDIENCE, secret, now))
    except Over:
        raise NoSession("Your session is over. Sign in again.") from None
    except (NotOurs, ValueError, KeyError, TypeError):
        raise NoSession("This is no session of ours. Sign in again.") from None


def _session(claims: dict[str, Any]) -> Session:
    workloads = claims["workloads"]
    return Session(
        Principal(
            str(claims["sub"]),
            Role(claims["role"]),
            None if workloads is None else frozenset(map(str, workloads)),
            str(claims["key_id"]),
        ),
        str(claims["name"]),
    )
