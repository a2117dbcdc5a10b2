"""HTTP about the audit log: what was done lately, and the chains for who exports or verifies them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from services.workloads.audit_log import AuditLog
from services.workloads.audit_store import AuditStore, Stored
from services.workloads.tables_away import of_tables
from shared.access.audit_chain import Head, Link
from shared.access.door import may
from shared.access.roles import Verb
from shared.events import ActionAudited
from shared.fields import ID_PATTERN

MOST_LISTED = 1000
Limit = Annotated[int, Query(ge=1, le=MOST_LISTED)]


class Audited(ActionAudited):
    """One row."""

    partition: int
    number: int
    hash: str

    @classmethod
    def of_row(cls, stored: Stored) -> Audited:
        row = {"partition": stored.partition, "number": stored.link.number, "hash": stored.link.hash}
        return cls.model_validate(stored.action.model_dump() | row)


class Chain(BaseModel):
    """How far a partition's chain is, as the service noted it beside the table."""

    partition: int
    number: int
    """Of the last row."""
    hash: str

    @classmethod
    def of_head(cls, partition: int, head: Head) -> Chain:
        return cls(partition=partition, number=head.number, hash=head.hash)


class Row(BaseModel):
    number: int
    action: str
    """Canonical JSON. The hash is SHA-256 of the hash before, a line feed and this."""
    hash: str

    @classmethod
    def of_link(cls, link: Link) -> Row:
        return cls(number=link.number, action=link.action, hash=link.hash)


def audit_routes(store: AuditStore, log: AuditLog) -> APIRouter:
    router = APIRouter(prefix="/audit", tags=["audit"])

    @router.get("", dependencies=[may(Verb.AUDIT, of_all=True)])
    async def audited(
        before: Annotated[str, Query(pattern=ID_PATTERN)] | None = None, limit: Limit = 100
    ) -> list[Audited]:
        """What was done, the newest first; with `before` what came before the action of that id."""
        return [Audited.of_row(one) for one in await of_tables(store.newest(before or "", limit))]

    @router.get("/chains", dependencies=[may(Verb.AUDIT, of_all=True)])
    async def chains() -> list[Chain]:
        """One for each partition of the topic that has had an action."""
        heads = await of_tables(store.heads()) | dict(log.noted)
        return [Chain.of_head(partition, head) for partition, head in sorted(heads.items())]

    @router.get("/chains/{partition}", dependencies=[may(Verb.AUDIT, of_all=True)])
    async def rows(
        partition: Annotated[int, Path(ge=0, lt=1 << 31)],
        after: Annotated[int, Query(ge=0, lt=1 << 63)] = 0,
        limit: Limit = MOST_LISTED,
    ) -> list[Row]:
        """Its rows in order, from the one after `after` on."""
        return [Row.of_link(link) for link in await of_tables(store.links(partition, after, limit))]

    return router
