"""One reviewer at work: a session that is kept filled from the queue, and whose answers go back to it."""

from __future__ import annotations

import asyncio

from services.console.review_client import ReviewClient
from services.console.reviewing import Item, Sitting
from shared.service import Clock
from shared.time_ordered_ids import time_ordered_id


class ReviewSession:
    """Everything here that asks human_review raises ServiceAway and ServiceRefused."""

    def __init__(self, queue: ReviewClient, clock: Clock, workload: str, reviewer: str) -> None:
        self.sitting = Sitting(reviewer)
        self._queue, self._clock, self._workload = queue, clock, workload
        self._filling = asyncio.Lock()

    async def fetch(self) -> bool:
        """Takes one more item, if more are wanted. False when there is none to take."""
        async with self._filling:
            if not self.sitting.wants_more:
                return False
            item = await self._queue.next_item(self._workload, self.sitting.reviewer, self.sitting.past())
            return item is not None and self.sitting.offer(item)

    async def fill(self) -> None:
        """Takes what waits behind the item on the page."""
        while await self.fetch():
            pass

    async def answer(self, label: str) -> None:
        """Returns when the review is kept; then the next item stands in the place of this one."""
        item = self.sitting.item
        assert item is not None
        review_id = time_ordered_id(self._clock())
        await self._queue.give(self._workload, item.prediction_id, self.sitting.reviewer, label, review_id)
        self.sitting.answer(label)

    def let_go(self) -> Item | None:
        """Forgets items that are not held for this reviewer any more; gives the one that was on the page."""
        return self.sitting.let_go(self._clock())
