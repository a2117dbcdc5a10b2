"""Group commit: a batch is acknowledged when it is on the disk, and one sync serves all that wait for it."""

import asyncio
import os
from collections.abc import Iterable

from deploy.laptop.kafka.log import PartitionLog


class GroupCommit:
    """Syncs in rounds: what is written while a round is under way gathers for the next one."""

    def __init__(self) -> None:
        self.failed: asyncio.Future[OSError] = asyncio.get_running_loop().create_future()
        """Done once the disk refused a sync: nobody knows then what of the rest it still has."""
        self._gathering: set[PartitionLog] = set()
        self._round: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def synced(self, logs: Iterable[PartitionLog]) -> None:
        """Returns when all that these logs hold by now is on the disk; raises OSError."""
        if self.failed.done():
            raise self.failed.result()
        self._gathering.update(logs)
        if self._round is None:
            self._round = asyncio.get_running_loop().create_future()
        if self._task is None:
            self._task = asyncio.create_task(self._sync())
        await asyncio.shield(self._round)

    async def _sync(self) -> None:
        try:
            while (done := self._round) is not None:
                gathered, self._gathering, self._round = self._gathering, set(), None
                await self._sync_round(gathered, done)
        finally:
            self._task = None

    async def _sync_round(self, logs: Iterable[PartitionLog], done: asyncio.Future[None]) -> None:
        written = [(log, log.unsynced()) for log in logs]
        try:
            await asyncio.gather(*(asyncio.to_thread(os.fdatasync, each.file.fd) for _, each in written))
        except OSError as problem:
            if not self.failed.done():
                self.failed.set_result(problem)
            done.set_exception(problem)
            return
        for log, each in written:
            log.show(each)
        done.set_result(None)
