"""An app's Idempotency-Key, as its header carries it (draft-ietf-httpapi-idempotency-key-header)."""

from __future__ import annotations

LONGEST_KEY = 200


def key_in(header: str) -> str | None:
    """The key, with or without the quotes that the draft asks for.

    None if it is none: empty, longer than 200 characters, or not printable ASCII.
    """
    key = header.strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    return key if 1 <= len(key) <= LONGEST_KEY and key.isascii() and key.isprintable() else None
