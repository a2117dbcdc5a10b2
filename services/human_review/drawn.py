"""Lots that are drawn by id: the same prediction draws the same lot wherever and whenever it is asked."""

from __future__ import annotations

import hashlib


def drawn(purpose: str, prediction_id: str) -> float:
    """A number in [0, 1), uniform over ids, and independent between purposes."""
    digest = hashlib.sha256(f"{purpose}\x1f{prediction_id}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
