"""Stores what was audited as the next rows of its partition's chain, and notes on disk how far that is.

Delivered again, an action is known by its id. Two processes that store the same at a hand-over store the same
rows. What was removed at the end of a chain shows, for it goes on behind what was noted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from services.workloads.audit_store import AuditStore
from shared.access.audit_chain import Head, beginning, canonical, following
from shared.consumer import ConsumerRecord
from shared.events import ActionAudited
from shared.files import write_atomically

FILE = "audit_heads.json"
_heads = TypeAdapter(dict[int, Head])

log = logging.getLogger(__name__)


class AuditLog:
    def __init__(self, store: AuditStore, folder: Path) -> None:
        self._store, self._file = store, folder / FILE
        self._noted = _read(self._file)

    @property
    def noted(self) -> Mapping[int, Head]:
        """How far each chain was, as this process and those before it on its volume have stored it."""
        return self._noted

    async def keep(self, batch: Sequence[ConsumerRecord[ActionAudited]]) -> None:
        partitions: dict[int, dict[str, ActionAudited]] = {}
        for consumed in batch:
            partitions.setdefault(consumed.partition, {}).setdefault(consumed.event.action_id, consumed.event)
        for partition, actions in sorted(partitions.items()):
            head = self._head(partition, await self._store.head(partition))
            known = await self._store.known(partition, actions)
            new = {one: _canonical(action) for one, action in actions.items() if one not in known}
            links = following(head, new.values())
            await self._store.add(partition, zip(new, links, strict=True))
            self._noted[partition] = links[-1].head if links else head
        await asyncio.to_thread(write_atomically, self._file, _heads.dump_json(self._noted))

    def _head(self, partition: int, stored: Head | None) -> Head:
        """What to go on from: what was noted, unless another process has stored more since."""
        noted = self._noted.get(partition, beginning(partition))
        return noted if stored is None or stored.number <= noted.number else stored


def _canonical(action: ActionAudited) -> str:
    return canonical(action.model_dump(mode="json"))


def _read(file: Path) -> dict[int, Head]:
    try:
        return _heads.validate_json(file.read_bytes())
    except FileNotFoundError:
        return {}
    except ValidationError:
        log.error("%s cannot be read: rows missing at the end of the audit log do not show now", file)
        return {}
