"""The keys there are, as the state events say, and who sends one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from shared.access.api_key import is_that_key, key_id_of
from shared.access.holding import operates
from shared.access.principal import Principal
from shared.events import AccessChanged

ASK_FOR_ONE = "Ask whoever runs tuneloop for one: they say tuneloop keys create"


class NotAdmitted(Exception):
    """What is sent opens nothing. The message says why, and what to do."""


@dataclass
class KnownKeys:
    """Revoked and expired ones too: once there was a key, nobody comes in without one."""

    _held: dict[str, AccessChanged] = field(default_factory=dict)

    def apply(self, event: AccessChanged) -> bool:
        """True if the event makes or changes a key, whatever order the events arrive in."""
        held = self._held.get(event.key_id)
        if held is not None and held.revision >= event.revision:
            return False
        self._held[event.key_id] = event
        return True

    def all(self) -> list[AccessChanged]:
        return list(self._held.values())

    def __bool__(self) -> bool:
        return bool(self._held)

    def any_operates(self, at: datetime) -> bool:
        """Whether somebody could come in at that moment who may do all there is to do."""
        return any(operates(one, at) for one in self._held.values())

    def sender_of(self, key: str, at: datetime) -> Principal:
        """Who sends this key at that moment. Raises NotAdmitted."""
        held = self._held.get(key_id_of(key) or "")
        if held is None or not is_that_key(key, held.digest):
            raise NotAdmitted(f"This key is not known here. {ASK_FOR_ONE}")
        return self._principal(held, at)

    def still_admits(self, key_id: str, at: datetime) -> Principal:
        """As `sender_of`, for who showed that key before and signed in by it. Raises NotAdmitted."""
        held = self._held.get(key_id)
        if held is None:
            raise NotAdmitted("The key you signed in with is not known any more. Sign in again.")
        return self._principal(held, at)

    def _principal(self, held: AccessChanged, at: datetime) -> Principal:
        if held.revoked_at is not None:
            raise NotAdmitted(f"The key {held.key_id} was revoked. {ASK_FOR_ONE}")
        if held.expires_at is not None and held.expires_at <= at:
            raise NotAdmitted(f"The key {held.key_id} expired on {held.expires_at:%Y-%m-%d}. {ASK_FOR_ONE}")
        workloads = None if held.workloads is None else frozenset(held.workloads)
        return Principal(held.principal, held.role, workloads, held.key_id)
