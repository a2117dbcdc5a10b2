"""Publishes what was decided and stored: killed between the two, it is published when the service is back.

A transactional outbox: rows of revisions, cycles and trainings say themselves whether they were published.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from services.workloads.cycles import round_of
from services.workloads.key_api import DECIDED_AS
from services.workloads.key_store import KeyStore
from services.workloads.round_progress import of_request
from services.workloads.rounds import Rounds
from services.workloads.store import WorkloadStore
from shared.broker import Publish


@dataclass(frozen=True)
class Outbox:
    store: WorkloadStore
    keys: KeyStore
    rounds: Rounds
    publish: Publish
    owns: Callable[[str], bool]
    """Whether this process decides about a workload."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def run_for_ever(self) -> None:
        while True:
            self.wake.clear()
            await self.publish_all()
            await self.wake.wait()

    async def publish_all(self) -> None:
        """Stored, published, marked as published."""
        for named in await self.keys.unpublished():
            if self.owns(DECIDED_AS):
                await self.publish(named.changed)
                await self.keys.keep(named, is_published=True)
        for added in await self.store.unpublished_revisions():
            if self.owns(added.name):
                await self.publish(added)
                await self.store.keep_revision(added, is_published=True)
        for started in await self.store.unpublished_cycles():
            if self.owns(started.workload):
                await self.rounds.begin(round_of(started))  # the kill may have come before this, too
                await self.publish(started)
                await self.store.keep_cycle(started, is_published=True)
        for requested in await self.store.unpublished_trainings():
            if self.owns(requested.workload):
                await self.rounds.begin(of_request(requested))
                await self.publish(requested)
                await self.store.keep_training(requested, is_published=True)
