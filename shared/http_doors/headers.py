"""What browsers are told of every answer, so that none is guessed at, framed, or lets anything run."""

from __future__ import annotations

POLICY = b"content-security-policy"
NOTHING = b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""For answers that are no pages. A page that needs more brings a policy of its own."""
HEADERS: list[tuple[bytes, bytes]] = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
]


def with_headers(given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """An answer's headers and ours."""
    for name, _ in given:
        if name == POLICY:
            return given + HEADERS
    return [*given, *HEADERS, (POLICY, NOTHING)]
