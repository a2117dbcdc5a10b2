"""A key is made or revoked."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from shared.access.api_key import KEY_ID_PATTERN
from shared.access.roles import Role
from shared.events.envelope import FOR_EVER, Event, Topic
from shared.fields import MOST_ITEMS, Id, Moment, Whole, WorkloadName

KeyId = Annotated[str, StringConstraints(pattern=KEY_ID_PATTERN)]


class AccessChanged(Event):
    """Whose a key is, what it may do and until when. Of each key the highest revision holds.

    It holds nothing that opens a door: the digest of 256 random bits. Names of people are not in it either.
    """

    topic: ClassVar[Topic] = Topic("access-changed-v1", key="key_id", partitions=1, retention=FOR_EVER)
    is_state: ClassVar[bool] = True

    key_id: KeyId
    revision: Whole
    principal: Id
    """An opaque id. One person or app may have several keys."""
    role: Role
    workloads: Annotated[list[WorkloadName], Field(max_length=MOST_ITEMS)] | None = None
    """The workloads it is for; None: all."""
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the whole key, in hex."""
    expires_at: Moment | None = None
    revoked_at: Moment | None = None
    changed_by: Id
    """The principal who made or revoked it."""
    changed_at: Moment

    def cause(self) -> tuple[str, ...]:
        return (self.key_id, str(self.revision))

    def happened_at(self) -> datetime:
        return self.changed_at
