"""What a browser holds while its user signs in elsewhere: ours, signed, for minutes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.access.signed_claims import NotOurs, read_claims, signed_claims

COOKIE = "tuneloop-signing-in"
AUDIENCE = "tuneloop-signing-in"
LASTS = timedelta(minutes=10)


@dataclass(frozen=True)
class SigningIn:
    kept: dict[str, Any]
    """State, nonce and PKCE's verifier, as Authlib keeps them."""
    place: str
    """The page they were on their way to."""


def signed(signing_in: SigningIn, secret: str, now: datetime) -> str:
    claims = {"kept": signing_in.kept, "place": signing_in.place}
    return signed_claims(claims, AUDIENCE, secret, now, LASTS)


def read(token: str, secret: str, now: datetime) -> SigningIn:
    """One in which nothing was begun if it is none of ours, or too old."""
    try:
        claims = read_claims(token, AUDIENCE, secret, now)
        return SigningIn(dict(claims["kept"]), str(claims["place"]))
    except (NotOurs, ValueError, KeyError, TypeError):
        return SigningIn({}, "/")
