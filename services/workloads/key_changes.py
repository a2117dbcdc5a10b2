"""What making and revoking a key comes to; pure but for the dice of a new principal's id."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.access.api_key import NewKey
from shared.access.roles import Role
from shared.events import AccessChanged


@dataclass(frozen=True)
class WantedKey:
    name: str
    """Whose it is: a person's or an app's name."""
    role: Role
    workloads: Sequence[str] | None
    """None: all there are and will be."""
    lasts: timedelta | None
    """None: for ever."""


@dataclass(frozen=True)
class NamedKey:
    """A key as it is now, and whose."""

    name: str
    changed: AccessChanged


def made(wanted: WantedKey, key: NewKey, known: Iterable[NamedKey], by: str, at: datetime) -> AccessChanged:
    """A second key of the same name is the same principal's."""
    same = (one.changed.principal for one in known if one.name == wanted.name)
    return AccessChanged(
        key_id=key.key_id,
        revision=1,
        principal=next(same, None) or f"p-{secrets.token_hex(6)}",
        role=wanted.role,
        workloads=None if wanted.workloads is None else list(dict.fromkeys(wanted.workloads)),
        digest=key.digest,
        expires_at=None if wanted.lasts is None else at + wanted.lasts,
        changed_by=by,
        changed_at=at,
    )


def revoked(key: AccessChanged, by: str, at: datetime) -> AccessChanged | None:
    """None: it is revoked already."""
    if key.revoked_at is not None:
        return None
    return key.model_copy(
        update={"revision": key.revision + 1, "revoked_at": at, "changed_by": by, "changed_at": at}
    )
