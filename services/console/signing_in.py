"""What a browser holds while its user signs in elsewhere: ours, signed, for minutes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

COOKIE = "tuneloop-signing-in"
ALGORITHM, AUDIENCE = "HS256", "tuneloop-signing-in"
LASTS = timedelta(minutes=10)


@dataclass(frozen=True)
class SigningIn:
    kept: dict[str, Any]
    """State, nonce and PKCE's verifier, as Authlib keeps them."""
    place: str
    """The page they were on their way to."""


def signed(signing_in: SigningIn, secret: str, now: datetime) -> str:
    claims = {
        "aud": AUDIENCE,
        "kept": signing_in.kept,
        "place": signing_in.place,
        "exp": int((now + LASTS).timestamp()),
    }
    return jwt.encode({"alg": ALGORITHM}, claims, OctKey.import_key(secret))


def read(token: str, secret: str, now: datetime) -> SigningIn:
    """One in which nothing was begun if it is none of ours, or too old."""
    try:
        claims = jwt.decode(token, OctKey.import_key(secret), algorithms=[ALGORITHM]).claims
        if claims["aud"] == AUDIENCE and datetime.fromtimestamp(claims["exp"], UTC) > now:
            return SigningIn(dict(claims["kept"]), str(claims["place"]))
    except (JoseError, ValueError, KeyError, TypeError):
        pass
    return SigningIn({}, "/")
