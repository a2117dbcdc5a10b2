"""Lots that are drawn by id and by a secret: whoever chooses an id cannot choose what it draws."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Self

_OF_LOTS = b"tuneloop lots"
WITHOUT_KEY = "SUBJECT_KEY is not set: who names predictions can compute which are audited and reviewed twice"


@dataclass(frozen=True)
class Lots:
    """The same prediction draws the same lot wherever and whenever it is asked."""

    key: bytes = field(repr=False)

    @classmethod
    def of(cls, secret: str) -> Self:
        """By a key of their own, extracted from the installation's secret (HKDF-Extract, RFC 5869): what else
        is derived from that tells nothing of lots."""
        return cls(hmac.digest(_OF_LOTS, secret.encode(), "sha256"))

    def digest(self, purpose: str, prediction_id: str) -> bytes:
        """32 bytes (HMAC-SHA256), independent between purposes."""
        return hmac.digest(self.key, f"{purpose}\x1f{prediction_id}".encode(), "sha256")

    def drawn(self, purpose: str, prediction_id: str) -> float:
        """A number in [0, 1), uniform over ids."""
        return int.from_bytes(self.digest(purpose, prediction_id)[:6], "big") / 2**48
