"""How runs and adapters stand: what `retraining` publishes, what was asked for here, and how far it is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from services.workloads.adapter_states import adapter_state
from services.workloads.published_runs import MOST, Adapter, PublishedRuns, Run
from services.workloads.replies import Figure
from services.workloads.requested_training import FAILED, REQUESTED
from services.workloads.round_progress import Round
from services.workloads.rounds import Rounds
from services.workloads.run_replies import AdapterShown, RunState
from services.workloads.store import WorkloadStore
from shared.adapters.signature import SIGNATURE_FILE
from shared.events import DatasetPublished, TrainingRequested
from shared.files import Files, FilesUnreachable


@dataclass(frozen=True)
class RunOverview:
    store: WorkloadStore
    runs: PublishedRuns
    rounds: Rounds
    files: Files

    async def listed(self, workload: str, beginning: str = "") -> list[RunState]:
        """The newest first. Those that `retraining` has not heard of yet come before all others."""
        await self.rounds.refresh()
        known = await self.runs.runs(workload, beginning)
        seen = {run.run_id for run in known}
        asked = [_requested(one) for one in await self.store.trainings(workload)]
        unheard = [run for run in asked if run.run_id not in seen and run.run_id.startswith(beginning)]
        if len(known) >= MOST:  # those of long ago are heard of and not listed
            unheard = [run for run in unheard if run.changed_at > known[-1].changed_at]
        runs = [*unheard, *known]
        versions: dict[str, int] = {}
        for name in {run.workload for run in runs}:
            versions |= await self._versions(name)
        await self.rounds.look(*{run.workload for run in runs})
        return [self._state(run, versions.get(run.dataset_id)) for run in runs]

    async def with_accuracy(self, state: RunState) -> RunState:
        found = Figure.of(await self.runs.accuracy(state.workload, state.run_id))
        return state.model_copy(update={"accuracy": found})

    async def adapters(self, workload: str) -> list[AdapterShown]:
        """The newest first."""
        adapters = await self.runs.adapters(workload)
        shown: list[AdapterShown] = []
        for name in dict.fromkeys(one.workload for one in adapters):
            aliases, verdicts = await self.runs.aliases(name), await self.runs.verdicts(name)
            failed = frozenset(run.run_id for run in await self.runs.runs(name) if run.state == FAILED)
            versions = await self._versions(name)
            for one in adapters:
                if one.workload == name:
                    state = adapter_state(one.name, one.run_id, aliases, verdicts, failed)
                    is_signed = await asyncio.to_thread(self._is_signed, one)
                    shown.append(AdapterShown.of(one, state, versions.get(one.dataset_id), is_signed))
        return sorted(shown, key=lambda one: one.trained_at, reverse=True)

    def _state(self, run: Run, dataset_version: int | None) -> RunState:
        round_ = self._round_of(run)
        progress = self.rounds.progress(round_) if round_ else None
        waits = self.rounds.waits(round_) if round_ else None
        stands = waits or progress or round_
        return RunState(
            **vars(run),
            sentence=run.reason or (stands.sentence if stands else run.state),
            seconds_left=progress.seconds_left if progress else None,
            waits_since=waits.since if waits else None,
            dataset_version=dataset_version,
        )

    def _round_of(self, run: Run) -> Round | None:
        if (asked := self.rounds.of_run(run.run_id)) is not None:
            return asked
        if run.run_id != DatasetPublished.run_of(run.dataset_id):
            return None
        return self.rounds.of_dataset(run.dataset_id)

    async def _versions(self, workload: str) -> dict[str, int]:
        return {one.dataset_id: one.version for one in await self.runs.datasets(workload)}

    def _is_signed(self, adapter: Adapter) -> bool | None:
        try:
            return self.files.holds(adapter.frozen, SIGNATURE_FILE)
        except (FilesUnreachable, FileNotFoundError):
            return None


def _requested(event: TrainingRequested) -> Run:
    return Run(
        run_id=event.run_id,
        workload=event.workload,
        dataset_id=event.dataset_id,
        candidate="",
        state=REQUESTED,
        method=event.training.method or "",
        training=event.training.model_dump(mode="json", exclude_none=True),
        plan=None,
        train_rows=0,
        rows_seen=None,
        steps=0,
        final_loss=0.0,
        eval_loss=None,
        seconds=0.0,
        peak_memory_gb=None,
        estimated_memory_gb=None,
        warnings=[],
        reason="",
        requested_by=event.requested_by,
        changed_at=event.requested_at,
    )
