"""The next items of each reviewer at work, in memory, so that asking for one seldom asks the database."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.human_review.claims import Claimant, Claims
from services.human_review.items import OpenItem
from services.human_review.settings import Settings
from services.human_review.store import IDS_AT_ONCE, ReviewStore
from shared.service import Clock

NEVER = datetime.min.replace(tzinfo=UTC)
MOST_AT_WORK = 64  # reviewers, by whatever names: what each may see next takes memory
AT_LEAST = timedelta(milliseconds=200)  # between two looks into the database when a reviewer finds nothing


@dataclass
class _Ahead:
    items: list[OpenItem] = field(default_factory=list)
    is_all: bool = False
    read_at: datetime = NEVER
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class LookAhead:
    """Gives items out. One per process; several processes may now and then show two people one item."""

    def __init__(self, store: ReviewStore, clock: Clock, settings: Settings) -> None:
        self._store, self._clock, self._settings = store, clock, settings
        self._claims: dict[str, Claims] = {}
        self._ahead: dict[tuple[str, str], _Ahead] = {}

    async def next(self, workload: str, claimant: Claimant, without: Collection[str] = ()) -> OpenItem | None:
        """Claims the reviewer's next open item, none of `without`; None when there is none now."""
        reviewer = claimant.reviewer
        ahead = self._ahead.setdefault((workload, reviewer), _Ahead())
        async with ahead.lock:
            if self._clock() - ahead.read_at >= timedelta(seconds=self._settings.refresh_seconds):
                await self._read(ahead, workload, reviewer, self._settings.look_ahead)
            item = self._choose(ahead, workload, claimant, without)
            if item is None and self._clock() - ahead.read_at >= AT_LEAST:
                await self._read(ahead, workload, reviewer, self._settings.look_ahead)
                item = self._choose(ahead, workload, claimant, without)
            if item is None and not ahead.is_all:  # all of them are taken, which the tables do not know yet
                await self._read(ahead, workload, reviewer, IDS_AT_ONCE)
                item = self._choose(ahead, workload, claimant, without)
        return item

    def judged(self, workload: str, prediction_id: str, claimant: Claimant) -> None:
        """Not to be shown to this reviewer again, even before the review is stored."""
        self._claims_of(workload).judged(prediction_id, claimant, self._clock())

    async def _read(self, ahead: _Ahead, workload: str, reviewer: str, most: int) -> None:
        ahead.items, ahead.is_all = await self._store.open_items(workload, reviewer, most, known=ahead.items)
        ahead.read_at = self._clock()
        self._forget_who_left()

    def _choose(
        self, ahead: _Ahead, workload: str, claimant: Claimant, without: Collection[str]
    ) -> OpenItem | None:
        items = (item for item in ahead.items if item.prediction_id not in without)
        return self._claims_of(workload).choose(items, claimant, self._clock())

    def _claims_of(self, workload: str) -> Claims:
        if workload not in self._claims:
            lifetime = timedelta(seconds=self._settings.claim_seconds)
            self._claims[workload] = Claims(lifetime, self._settings.most_claims)
        return self._claims[workload]

    def _forget_who_left(self) -> None:
        longest = timedelta(seconds=self._settings.claim_seconds)
        latest = sorted(self._ahead, key=lambda who: self._ahead[who].read_at)[-MOST_AT_WORK:]
        since = max(self._clock() - longest, self._ahead[latest[0]].read_at)
        self._ahead = {
            who: ahead for who, ahead in self._ahead.items() if ahead.lock.locked() or ahead.read_at >= since
        }
