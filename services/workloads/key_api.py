"""HTTP about keys: they are made, listed and revoked."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from services.workloads.api import decides, known
from services.workloads.by_beginning import only_one
from services.workloads.key_changes import NamedKey, WantedKey, made, revoked
from services.workloads.key_store import KeyStore
from services.workloads.tables_away import of_tables
from shared.access.api_key import BEGINS_A_KEY_ID, MOST_DAYS, new_key
from shared.access.asked import asked_of
from shared.access.door import May, may
from shared.access.principal import Principal
from shared.access.roles import Role, Verb
from shared.events import AccessChanged
from shared.fields import WorkloadName, bytes_of
from shared.http_doors.json_route import JsonRoute
from shared.projections import Workloads
from shared.service import Clock

DECIDED_AS = "keys"
"""One replica decides about keys, as one does about a workload of that name."""
MOST_NAME = 200
BREAKS = ("Cc", "Zl", "Zp")
"""Unicode's categories of what ends a line, or rules a terminal."""
Keeper = Annotated[Principal, Depends(May(Verb.KEYS, of_all=True))]


def _on_one_line(name: str) -> str:
    """Raises ValueError: names stand in lists and sentences, and are told apart there."""
    bytes_of(name)
    if any(unicodedata.category(one) in BREAKS for one in name):
        raise ValueError("holds a line break or another control character")
    return name


class Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_NAME),
        AfterValidator(_on_one_line),
    ]
    """Whose it is. It is shown to who may see keys, and to nobody else."""
    role: Role
    workloads: Annotated[list[WorkloadName], Field(min_length=1, max_length=1000)] | None = None
    """The workloads it is for; null: all there are and will be."""
    expires_in_days: Annotated[int, Field(ge=1, le=MOST_DAYS)] | None = 365
    """null: it never expires."""


class Listed(BaseModel):
    key_id: str
    name: str
    principal: str
    role: Role
    workloads: list[str] | None
    expires_at: datetime | None
    revoked_at: datetime | None
    changed_at: datetime

    @classmethod
    def of(cls, named: NamedKey) -> Listed:
        return cls.model_validate({"name": named.name} | named.changed.model_dump(exclude={"digest"}))


class Made(Listed):
    key: str
    """The key itself. It is shown this once, and kept nowhere."""


@dataclass(frozen=True)
class KeyParts:
    """What the routes call."""

    store: KeyStore
    workloads: Workloads
    clock: Clock
    owns: Callable[[str], bool]
    on_revoked: Callable[[AccessChanged], Awaitable[None]]
    """Here it opens nothing any more, whatever becomes of Kafka. Told again, nothing changes."""
    on_stored: Callable[[], None]
    """A change waits to be published."""


def key_routes(parts: KeyParts) -> APIRouter:
    router = APIRouter(prefix="/keys", tags=["keys"], route_class=JsonRoute)
    one_at_a_time = asyncio.Lock()

    @router.post("", status_code=201)
    async def make(wanted: Wanted, request: Request, response: Response, principal: Keeper) -> Made:
        """Makes a key. It works within seconds, everywhere."""
        decides(parts.owns, DECIDED_AS)
        for name in wanted.workloads or ():
            known(parts.workloads, name, principal)
        lasts = None if wanted.expires_in_days is None else timedelta(days=wanted.expires_in_days)
        key, asked = new_key(), WantedKey(wanted.name, wanted.role, wanted.workloads, lasts)
        async with one_at_a_time:  # two keys made at once for one new name are one principal's
            there = await of_tables(parts.store.all())
            named = NamedKey(wanted.name, made(asked, key, there, principal.id, parts.clock()))
            await of_tables(parts.store.keep(named, is_published=False))
        asked_of(request.scope).about = _for_the_log(named.changed)
        parts.on_stored()
        response.headers["Cache-Control"] = "no-store"
        return Made(key=key.text, **Listed.of(named).model_dump())

    @router.get("", dependencies=[may(Verb.AUDIT, of_all=True)])
    async def listed() -> list[Listed]:
        """Every key there was, the newest first, and whose; none of them can be read again."""
        return [Listed.of(named) for named in await of_tables(parts.store.all())]

    @router.post("/{beginning}/revoke")
    async def revoke(
        beginning: Annotated[str, Path(pattern=BEGINS_A_KEY_ID)], request: Request, principal: Keeper
    ) -> Listed:
        """Ends a key, by its id or by how that begins. Within seconds it opens nothing any more."""
        decides(parts.owns, DECIDED_AS)
        async with one_at_a_time:
            there = await of_tables(parts.store.all())
            found = only_one(
                "key", "an id", beginning, [one for one in there if one.changed.key_id.startswith(beginning)]
            )
            asked_of(request.scope).about = _for_the_log(found.changed)
            if (changed := revoked(found.changed, principal.id, parts.clock())) is not None:
                found = NamedKey(found.name, changed)
                await of_tables(parts.store.keep(found, is_published=False))
        parts.on_stored()  # asked again, too: the time before may have come no further than the table
        await parts.on_revoked(found.changed)
        return Listed.of(found)

    return router


def _for_the_log(key: AccessChanged) -> str:
    return f"key {key.key_id} of {key.principal}, {key.role}"
