"""Trainings that somebody asks for: checked at once, stored, published by the outbox; and runs cancelled."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.workloads import model_limits
from services.workloads.complaints import BadWorkload
from services.workloads.published_runs import Dataset, PublishedRuns
from services.workloads.requested_training import KnownTrainings, fusable, overridden, twin_of
from services.workloads.round_progress import of_request
from services.workloads.rounds import Rounds
from services.workloads.store import WorkloadStore
from shared.events import DatasetPublished, TrainingRequested, WorkloadAdded, derived_id
from shared.model_server import ModelServer
from shared.service import Clock
from shared.workload import Training


@dataclass(frozen=True)
class Wanted:
    """What somebody asks for. `key` is theirs: asked again by the same one, it is the same training."""

    training: Mapping[str, Any]
    dataset_version: int | None
    adapters: tuple[str, ...]
    requested_by: str
    reason: str
    key: str | None

    def cause(self, at: datetime) -> tuple[str, ...]:
        if self.key:
            return ("key", self.key)
        said = json.dumps([self.training, self.dataset_version, self.adapters], sort_keys=True)
        return ("at", at.isoformat(), self.requested_by, said)


class NotNow(Exception):
    """Why nothing is trained, and what to do."""

    def __init__(self, reason: str, run_id: str | None = None) -> None:
        super().__init__(reason)
        self.run_id = run_id


@dataclass(frozen=True)
class Trainings:
    store: WorkloadStore
    runs: PublishedRuns
    rounds: Rounds
    models: ModelServer
    clock: Clock
    on_stored: Callable[[], None]
    """Called when there is something to publish."""
    _locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def request(self, added: WorkloadAdded, wanted: Wanted) -> TrainingRequested:
        """The training; the one from before if it was asked for by the same key.

        Raises BadWorkload with every complaint, NotNow, ModelServerDown.
        """
        if added.is_retired:
            raise NotNow("The workload is retired. Add it again to bring it back.")
        async with self._locks[added.name]:
            await self.rounds.refresh()
            at = self.clock()
            request_id = derived_id("training", added.name, *wanted.cause(at))
            earlier = await self.store.trainings(added.name)
            if (same := next((one for one in earlier if one.request_id == request_id), None)) is not None:
                self.on_stored()  # kept, and perhaps no more than that
                await self.rounds.begin(of_request(same))
                return same
            dataset = await self._dataset(added.name, wanted.dataset_version)
            training = overridden(added.definition.training, wanted.training)
            await self._within_limits(added, training)
            known = {one.name: one.frozen for one in await self.runs.adapters(added.name)}
            requested = TrainingRequested(
                request_id=request_id,
                workload=added.name,
                revision=added.revision,
                dataset_id=dataset.dataset_id,
                training=training,
                adapters=fusable(training, wanted.adapters, known, added.definition),
                requested_by=wanted.requested_by,
                reason=wanted.reason,
                requested_at=at,
            )
            await self._refuse_a_twin(requested, added, earlier, dataset)
            await self.store.keep_training(requested, is_published=False)
            self.on_stored()  # whatever becomes of the rest: who publishes it begins its round, too
            await self.rounds.begin(of_request(requested))
            return requested

    async def _dataset(self, workload: str, version: int | None) -> Dataset:
        dataset = await self.runs.dataset(workload, version)
        if dataset is None and version is not None:
            raise NotNow(f"“{workload}” has no dataset v{version}. Leave it out to train on the newest.")
        if dataset is None:
            raise NotNow(
                f"“{workload}” has no dataset yet: its first is made of its own rows when it is added. "
                f"Follow that: tuneloop workload follow {workload}"
            )
        return dataset

    async def _within_limits(self, added: WorkloadAdded, training: Training) -> None:
        wanted = added.definition.model_copy(update={"training": training})
        limits, server = await self.runs.views.training_limits(), await self.models.limits()
        found = model_limits.complaints(wanted, await self.models.base_models(), limits.lora_rank, server)
        if found:
            raise BadWorkload(found)

    async def _refuse_a_twin(
        self,
        wanted: TrainingRequested,
        added: WorkloadAdded,
        requests: list[TrainingRequested],
        dataset: Dataset,
    ) -> None:
        twin = twin_of(wanted, await self._known(added, requests, dataset))
        if twin is not None:
            raise NotNow(
                f"Run {twin.run_id} is the same training of dataset v{dataset.version} ({twin.stands}). It "
                "would give the same model: change a setting, such as seed, or cancel that run first.",
                twin.run_id,
            )

    async def _known(
        self, added: WorkloadAdded, requests: list[TrainingRequested], dataset: Dataset
    ) -> KnownTrainings:
        revisions = await self.store.revisions(added.name)
        alike = {one.revision for one in revisions if not added.asks_differently_from(one)}
        alike.add(0)  # of a round that began before revisions were kept
        runs = {run.run_id: run for run in await self.runs.runs(added.name)}
        rounds = {one.run_id: self.rounds.get(added.name, one.request_id) for one in requests}
        led_to_it = self.rounds.of_dataset(dataset.dataset_id)
        own = runs.get(DatasetPublished.run_of(dataset.dataset_id))
        is_alike = led_to_it is None or led_to_it.revision in alike
        asked_for = own.training if own and is_alike else None
        return KnownTrainings(
            requests=[one for one in requests if one.revision in alike],
            states={run_id: run.state for run_id, run in runs.items()},
            under_way={run_id for run_id, round_ in rounds.items() if round_ and not round_.is_over},
            by_itself=None if asked_for is None else Training.model_validate(asked_for),
        )
