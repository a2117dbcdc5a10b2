"""Which keys open something, and which open everything."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from shared.access.roles import Role


class Kept(Protocol):
    """What is known of a key, as an event says it or an answer."""

    @property
    def role(self) -> Role: ...

    @property
    def workloads(self) -> Collection[str] | None:
        """None: all."""

    @property
    def expires_at(self) -> datetime | None: ...

    @property
    def revoked_at(self) -> datetime | None: ...


def holds(key: Kept, at: datetime) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > at)


def operates(key: Kept, at: datetime) -> bool:
    """Whether whoever has it may at that moment do all there is to do, so make keys too."""
    return key.role is Role.OPERATOR and key.workloads is None and holds(key, at)
