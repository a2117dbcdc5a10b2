"""Every round, as far as its events have come: kept in a table, with training's progress in memory alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from services.workloads.progress import Progress, Waits
from services.workloads.published_views import PublishedViews
from services.workloads.round_progress import (
    Milestone,
    Round,
    Stage,
    advanced,
    dataset_of,
    in_shadow,
    of_request,
    unknown_round,
)
from services.workloads.store import WorkloadStore
from shared.events import DatasetPublished, TrainingProgressed
from shared.service import Clock
from shared.times import milliseconds

LOOK_AGAIN_SECONDS = 2.0  # at what no event tells, while somebody follows it


@dataclass
class Rounds:
    store: WorkloadStore
    views: PublishedViews
    clock: Clock
    on_over: Callable[[], None]
    """Called when a round ends: another may start."""
    owns: Callable[[str], bool] = lambda workload: True
    """Whether this process is given a workload's events; of the others it only sees what the table says."""
    _held: dict[str, Round] = field(default_factory=dict)
    _progress: dict[str, Progress] = field(default_factory=dict)
    _waits: dict[str, Waits | None] = field(default_factory=dict)
    """Run → what its candidate waits for, when it was last looked."""
    _is_stale: bool = True
    _reads: int = 0
    """How often the table was begun to be read."""
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held from what is read of a round to what is kept of it: each topic has a consumer of its own, and
    requests come beside them."""

    async def load(self) -> None:
        """Of many who ask at once, one reads for all that came before it began."""
        before = self._reads
        async with self._one_at_a_time:
            if self._is_stale or self._reads == before:
                await self._load()

    async def _load(self) -> None:
        self._is_stale = False
        self._reads += 1
        try:
            self._held = {round_.key: round_ for round_ in await self.store.rounds()}
        except BaseException:
            self._is_stale = True
            raise

    def forget(self) -> None:
        """Another process may have gone on with some of them: read again before anything is decided."""
        self._is_stale = True

    async def refresh(self) -> None:
        async with self._one_at_a_time:
            await self._refresh()

    async def _refresh(self) -> None:
        if self._is_stale:
            await self._load()

    async def look(self, *workloads: str) -> None:
        """Before somebody is told about them: where another process goes on with their rounds, these are read
        again. Whether a candidate waits for the model server is read in any case: no event tells it."""
        if self._is_stale or not all(map(self.owns, workloads)):
            await self.load()
        untold = [one for one in self._held.values() if one.workload in workloads and _is_untold(one)]
        found = await self.views.shadow_waits() if untold else {}
        for one in untold:
            if found.get(one.run_id) != self._waits.get(one.run_id):
                self._waits[one.run_id] = found.get(one.run_id)
                now = self._held[one.key]  # an event may have moved it on meanwhile
                self._held[one.key] = replace(now, version=self._version())

    def under_way(self, workload: str) -> Round | None:
        """The newest round of the workload that is not over."""
        latest = None
        for round_ in self._held.values():
            if round_.workload == workload and not round_.is_over:
                latest = round_ if latest is None or round_.version >= latest.version else latest
        return latest

    def latest(self, workload: str) -> Round | None:
        """The round under way, else the one that ended last."""
        ended = (one for one in self._held.values() if one.workload == workload)
        return self.under_way(workload) or max(ended, key=lambda one: one.version, default=None)

    def get(self, workload: str, round_id: str) -> Round | None:
        of_it = (one for one in self._held.values() if (one.workload, one.round_id) == (workload, round_id))
        return next(of_it, None)

    def progress(self, round_: Round) -> Progress | None:
        found = self._progress.get(round_.key)
        return found if found is not None and found.stage is round_.stage and not round_.is_over else None

    def waits(self, round_: Round) -> Waits | None:
        """Since when it stands still, and why; None for one that goes on."""
        if (progress := self.progress(round_)) is not None:
            return progress.waits
        return self._waits.get(round_.run_id) if _is_untold(round_) else None

    async def begin(self, round_: Round) -> None:
        """Begun again it is the same round, however far that has come."""
        async with self._one_at_a_time:
            await self._refresh()
            if round_.key not in self._held:
                await self._keep(replace(round_, version=self._version()))

    async def apply(self, event: Milestone) -> None:
        async with self._one_at_a_time:
            await self._refresh()
            held = await self._round_of(event)
            if held is None:
                return
            after = advanced(held, event, self._version())
            if after is not held:
                await self._keep(after)
                self._progress.pop(after.key, None)
                if after.is_over:
                    self.on_over()

    async def apply_progress(self, event: TrainingProgressed) -> None:
        round_ = self._requested(event.run_id) or self._of_itself(event.workload)
        if round_ is None or round_.is_over:
            return
        before = self._progress.get(round_.key)
        after = Progress.after(before, event, self._version())
        if after is not before:
            self._progress[round_.key] = after
            await self._tell()

    async def follow(self, workload: str, round_id: str, after: int, wait_seconds: float) -> Round | None:
        """The round once it is newer than `after`, or as it is when the wait is over."""
        now = asyncio.get_running_loop().time
        deadline = now() + wait_seconds
        while True:
            await self.look(workload)
            round_ = self.get(workload, round_id)
            if round_ is None:
                return None
            round_ = await self._looked_at(round_)
            left = deadline - now()
            if self.version(round_) > after or left <= 0 or round_.is_over:
                return round_
            nobody_tells = _is_untold(round_) or not self.owns(workload)
            await self._wait(min(left, LOOK_AGAIN_SECONDS) if nobody_tells else left)

    def version(self, round_: Round) -> int:
        progress = self.progress(round_)
        return max(round_.version, progress.version if progress else 0)

    async def _looked_at(self, round_: Round) -> Round:
        """A shadow's sentence says what it waits for, which no event tells."""
        if round_.stage is not Stage.SHADOW or round_.is_over or not round_.run_id:
            return round_
        pairs, differing, waiting = await self.views.pairs(round_.workload, round_.run_id)
        sentence = in_shadow(differing, waiting, pairs)
        held = self._held[round_.key]
        if not pairs or sentence == held.sentence or held.is_over:
            return held
        self._held[round_.key] = replace(held, sentence=sentence, version=self._version())
        return self._held[round_.key]

    def of_run(self, run_id: str) -> Round | None:
        """The round whose run it is, once that is known."""
        return next((one for one in self._held.values() if one.run_id == run_id), None)

    def of_dataset(self, dataset_id: str) -> Round | None:
        """The round that led to the dataset."""
        return self._held.get(dataset_id)

    def _requested(self, run_id: str) -> Round | None:
        """The round of a training that somebody asked for, by its run."""
        found = self.of_run(run_id) if run_id else None
        return found if found is not None and found.request_id else None

    def _of_itself(self, workload: str) -> Round | None:
        """The newest under way that nobody asked to train."""
        rounds = (
            one
            for one in self._held.values()
            if one.workload == workload and not one.is_over and not one.request_id
        )
        return max(rounds, key=lambda one: one.version, default=None)

    async def _round_of(self, event: Milestone) -> Round | None:
        dataset_id, run_id = dataset_of(event), getattr(event, "run_id", "")
        if (requested := self._requested(run_id)) is not None:
            return requested
        if run_id and dataset_id and run_id != DatasetPublished.run_of(dataset_id):
            # Whoever asked for it may have been held up, or killed, before it began the round.
            for one in await self.store.trainings(event.workload):
                if one.run_id == run_id:
                    return of_request(one)
        if dataset_id is None:  # a refusal of a revision's rows does not say of which revision
            of_it = [
                one
                for one in self._held.values()
                if one.workload == event.workload and one.stage is Stage.DATASET and not one.is_over
            ]
            return max(of_it, key=lambda one: one.version, default=None)
        return self._held.get(dataset_id) or unknown_round(event, dataset_id)

    async def _keep(self, round_: Round) -> None:
        await self.store.keep_round(round_)
        self._held[round_.key] = round_
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _wait(self, seconds: float) -> None:
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait(), seconds)
            except TimeoutError:
                return

    def _version(self) -> int:
        """Milliseconds since 1970, and in any case more than anybody has seen of this process."""
        newest = max((one.version for one in self._held.values()), default=0)
        newest = max([newest, *(one.version for one in self._progress.values())])
        return max(milliseconds(self.clock()), newest + 1)


def _is_untold(round_: Round) -> bool:
    """Whether it is where no event tells how it goes on: with the shadow."""
    return round_.stage in (Stage.SHADOW, Stage.PROMOTION) and not round_.is_over and round_.run_id != ""
