"""What an installation says to itself by way of a browser: claims that it signs (RFC 7519, HS256)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

ALGORITHM = "HS256"


class NotOurs(Exception):
    """It is bent, signed by somebody else, or for something else."""


class Over(NotOurs):
    """It was ours, and has ended."""


def signed_claims(
    claims: Mapping[str, Any], audience: str, secret: str, now: datetime, lasts: timedelta
) -> str:
    """`audience`: what they are for; for anything else they are none."""
    said = {"aud": audience, **claims, "iat": int(now.timestamp()), "exp": int((now + lasts).timestamp())}
    return jwt.encode({"alg": ALGORITHM}, said, OctKey.import_key(secret))


def read_claims(token: str, audience: str, secret: str, now: datetime) -> dict[str, Any]:
    """Raises NotOurs, Over."""
    try:
        claims = jwt.decode(token, OctKey.import_key(secret), algorithms=[ALGORITHM]).claims
        is_ours, ends = claims["aud"] == audience, datetime.fromtimestamp(claims["exp"], UTC)
    except (JoseError, ValueError, KeyError, TypeError):
        raise NotOurs from None
    if not is_ours:
        raise NotOurs
    if ends <= now:
        raise Over
    return claims
