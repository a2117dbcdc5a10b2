"""How long a request may take to come, and how large its head may be. uvicorn bounds neither."""

from __future__ import annotations

from enum import Enum

HEAD_SECONDS = 10.0
BODY_SECONDS = 10.0
BODY_BYTES_A_SECOND = 500
"""As Apache's RequestReadTimeout: a body has some seconds, and one more for each so many bytes that came."""
UNREAD_SECONDS = 60.0
"""How long an answer may wait for a client that reads nothing of it."""
MOST_HEAD_BYTES = 64 << 10


class Part(Enum):
    """What of a request is awaited."""

    HEAD = "head"
    BODY = "body"
    NOTHING = "nothing"
    """It is here; the connection waits for an answer, or for the next request."""


def is_too_slow(part: Part, seconds: float, body_bytes: int) -> bool:
    """Of a request that began so long ago, and of whose body so many bytes have come."""
    if part is Part.HEAD:
        return seconds > HEAD_SECONDS
    return part is Part.BODY and seconds > BODY_SECONDS + body_bytes / BODY_BYTES_A_SECOND
