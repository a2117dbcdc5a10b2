"""An API key: 32 random bytes behind an id. Whoever checks it knows no more than its digest.

A password is short, and its hash has to be slow. 256 random bits are not found by trying, and no request is
to wait for that, so the digest is plain SHA-256.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

PREFIX = "tl"
ID_BYTES, SECRET_BYTES = 6, 32
MOST_DAYS = 3650
"""So long a key may last that does not last for ever."""
KEY_ID_PATTERN, BEGINS_A_KEY_ID = r"^[0-9a-f]{12}$", r"^[0-9a-f]{1,12}$"
LOOKS_LIKE_A_KEY = re.compile(rf"{PREFIX}_([0-9a-f]{{12}})_([A-Za-z0-9_-]{{43}})")
"""Also for whoever looks for keys where they must not be: in logs, or in a repository."""


@dataclass(frozen=True)
class NewKey:
    key_id: str
    text: str = field(repr=False)
    """Shown once, to whom it is made for, and kept nowhere."""

    @property
    def digest(self) -> str:
        return digest_of(self.text)


def new_key() -> NewKey:
    key_id = secrets.token_hex(ID_BYTES)
    return NewKey(key_id, f"{PREFIX}_{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}")


def key_id_of(text: str) -> str | None:
    """The id in what is sent as a key; None for what cannot be one."""
    found = LOOKS_LIKE_A_KEY.fullmatch(text)
    return found[1] if found else None


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def is_that_key(text: str, digest: str) -> bool:
    """In a time that says nothing about how much of it is right."""
    return hmac.compare_digest(digest_of(text), digest)
