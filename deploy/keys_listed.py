"""Keys as the service lists them, which of them is meant, and which should not end by mistake."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel

from deploy.expected_error import ExpectedError
from shared.access.api_key import BEGINS_A_KEY_ID, key_id_of
from shared.access.holding import holds, operates
from shared.access.roles import Role


class Key(BaseModel):
    key_id: str
    name: str
    principal: str
    role: Role
    workloads: list[str] | None
    expires_at: datetime | None
    revoked_at: datetime | None

    def until(self, now: datetime) -> str:
        if self.revoked_at is not None:
            return f"revoked {self.revoked_at:%Y-%m-%d}"
        if self.expires_at is None:
            return "for ever"
        return f"{'until' if holds(self, now) else 'expired'} {self.expires_at:%Y-%m-%d}"

    def row(self, now: datetime) -> list[str]:
        workloads = "all" if self.workloads is None else ", ".join(self.workloads)
        return [self.key_id, self.name, self.role.value, workloads, self.until(now), self.principal]


class Made(Key):
    key: str


def id_meant(said: str) -> str:
    """An id, or how one begins; of a whole key its id. Raises ExpectedError, which repeats no secret."""
    beginning = key_id_of(said) or said
    if re.fullmatch(BEGINS_A_KEY_ID, beginning) is None:
        raise ExpectedError(
            "That is no id of a key: one has up to 12 digits and letters from a to f, and tuneloop keys list "
            "shows it first."
        )
    return beginning


def is_last_that_makes_keys(beginning: str, keys: Iterable[Key], now: datetime) -> bool:
    """Whether nobody's key could make another once those are revoked whose id begins so."""
    making = [key for key in keys if operates(key, now)]
    return bool(making) and all(key.key_id.startswith(beginning) for key in making)
