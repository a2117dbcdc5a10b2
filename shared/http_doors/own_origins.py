"""Whether a web page may speak to this process. Browsers send its origin with all it could do harm by."""

from __future__ import annotations

from collections.abc import Collection

ANY = b"*"


def may_speak(origin: bytes, host: bytes, allowed: Collection[bytes], *, is_tls: bool = False) -> bool:
    """Whether a page of this Origin may ask what is sent to this Host: ours may, and who is listed."""
    return origin in allowed or ANY in allowed or is_same_origin(origin, host, is_tls=is_tls)


def is_same_origin(origin: bytes, host: bytes, *, is_tls: bool = False) -> bool:
    """Whether the page came from where it asks now. `is_tls`: it asks by TLS, as far as we see.

    Else the scheme is not compared: behind a proxy that speaks TLS we do not see which one the browser used.
    A page that came by plain HTTP may be anybody's who sits on the way. An opaque origin, `null`, is
    nobody's.
    """
    scheme, separator, authority = origin.lower().partition(b"://")
    schemes = (b"https",) if is_tls else (b"http", b"https")
    return bool(separator) and scheme in schemes and authority == host.lower()
