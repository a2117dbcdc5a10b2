"""Whether a web page may speak to this process. Browsers send its origin with all it could do harm by."""

from __future__ import annotations

from collections.abc import Collection

ANY = b"*"


def may_speak(origin: bytes, host: bytes, allowed: Collection[bytes]) -> bool:
    """Whether a page of this Origin may ask what is sent to this Host: ours may, and who is listed."""
    return origin in allowed or ANY in allowed or is_same_origin(origin, host)


def is_same_origin(origin: bytes, host: bytes) -> bool:
    """Whether the page came from where it asks now.

    The scheme is not compared: behind a proxy that speaks TLS we do not see which one the browser used. An
    opaque origin, `null`, is nobody's. Go's CrossOriginProtection and gorilla/websocket compare the same.
    """
    scheme, separator, authority = origin.lower().partition(b"://")
    return bool(separator) and scheme in (b"http", b"https") and authority == host.lower()
