"""What a browser that signed in holds: who that is, signed, for some hours (RFC 7519, HS256).

It names the key that was shown, and ends with it: a session lasts no longer than what let it in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from shared.access.principal import Principal
from shared.access.roles import Role

ALGORITHM, AUDIENCE = "HS256", "tuneloop"
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
        "aud": AUDIENCE,
        "sub": principal.id,
        "name": session.name,
        "role": principal.role.value,
        "workloads": None if principal.workloads is None else sorted(principal.workloads),
        "key_id": principal.key_id,
        "iat": int(now.timestamp()),
        "exp": int((now + LASTS).timestamp()),
    }
    return jwt.encode({"alg": ALGORITHM}, claims, OctKey.import_key(secret))


def looks_like_a_session(token: str) -> bool:
    """Three parts between dots (RFC 7519): what has another form was meant as something else."""
    return token.count(".") == 2


def read_session(token: str, secret: str, now: datetime) -> Session:
    """Raises NoSession."""
    try:
        claims = jwt.decode(token, OctKey.import_key(secret), algorithms=[ALGORITHM]).claims
        return _session(claims, now)
    except (JoseError, ValueError, KeyError, TypeError):
        raise NoSession("This is no session of ours. Sign in again.") from None


def _session(claims: dict[str, Any], now: datetime) -> Session:
    if claims["aud"] != AUDIENCE:
        raise ValueError
    if datetime.fromtimestamp(claims["exp"], UTC) <= now:
        raise NoSession("Your session is over. Sign in again.")
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
