"""Whom an event is about, as an opaque id: made where it comes in, and never turned back into a name."""

from __future__ import annotations

import hashlib
import hmac

HEX_DIGITS = 32
WITHOUT_KEY = "SUBJECT_KEY is not set: the users that apps name are dropped, and events carry no subject_id"


def subject_id(key: str, user: str | None) -> str | None:
    """The first 32 hex digits of HMAC-SHA256 (RFC 2104) over the app's name for its user.

    The same key and user give the same id at every door. None without a user, and without a key: a bare hash
    of an e-mail address is found by trying addresses.
    """
    if not key or not user:
        return None
    content = user.encode("utf-8", "surrogatepass")  # JSON may hold a lone surrogate
    return hmac.new(key.encode(), content, hashlib.sha256).hexdigest()[:HEX_DIGITS]
