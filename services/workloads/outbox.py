"""Publishes what was decided and stored: killed between the two, it is published when the service is back.
What is published has a round by then, which its events find: the kill may have come before that, too.

A transactional outbox: rows of revisions, cycles and trainings say themselves whether they were published.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from services.workloads.cycles import round_of
from services.workloads.key_api import DECIDED_AS
from services.workloads.key_store import KeyStore
from services.workloads.round_progress import of_request, of_revision
from services.workloads.rounds import Rounds
from services.workloads.store import WorkloadStore
from shared.broker import Publish
from shared.events import WorkloadAdded


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
                await self._begin_round(added)
                await self.publish(added)
                await self.store.keep_revision(added, is_published=True)
        for started in await self.store.unpublished_cycles():
            if self.owns(started.workload):
                await self.rounds.begin(round_of(started))
                await self.publish(started)
                await self.store.keep_cycle(started, is_published=True)
        for requested in await self.store.unpublished_trainings():
            if self.owns(requested.workload):
                await self.rounds.begin(of_request(requested))
                await self.publish(requested)
                await self.store.keep_training(requested, is_published=True)

    async def _begin_round(self, added: WorkloadAdded) -> None:
        """A revision's, if it trains otherwise than the one before."""
        before = [one for one in await self.store.revisions(added.name) if one.revision < added.revision]
        if not before or added.trains_differently_from(before[-1]):
            await self.rounds.begin(of_revision(added.name, added.revision, added.rows.rows))
