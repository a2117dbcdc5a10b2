"""Who may ask the model server now: so many at once, and of those that wait each workload in turn.

The model server answers in the order in which it is asked. So what waits, waits here: a workload that asks a
thousand times at once keeps another waiting for those that are under way, and not for the thousand.
"""

from __future__ import annotations

import asyncio

from services.model_gateway.fair_queue import FairQueue


class Turns:
    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting = FairQueue[asyncio.Future[None]]()

    async def begin(self, workload: str) -> None:
        """Returns when it is its turn, which is then to `end`."""
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.push(workload, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it came in the moment in which nobody wanted it any more
                self.end()
            raise

    def end(self) -> None:
        while (turn := self._waiting.pop()) is not None:
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
