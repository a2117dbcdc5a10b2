"""What `retraining` and its neighbours publish about runs: datasets, runs, adapters and their verdicts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.workloads.adapter_states import Alias
from services.workloads.published_views import PublishedViews
from shared.events import Rate, Scorecard
from shared.fields import FrozenAdapter
from shared.times import utc

MOST = 500


@dataclass(frozen=True)
class Dataset:
    dataset_id: str
    version: int


@dataclass(frozen=True)
class Run:
    """A run as far as its events have come to `retraining`."""

    run_id: str
    workload: str
    dataset_id: str
    candidate: str
    state: str
    method: str
    training: dict[str, Any] | None
    plan: dict[str, Any] | None
    train_rows: int
    rows_seen: int | None
    steps: int
    final_loss: float
    eval_loss: float | None
    seconds: float
    peak_memory_gb: float | None
    estimated_memory_gb: float | None
    warnings: list[str]
    reason: str
    requested_by: str
    changed_at: datetime


@dataclass(frozen=True)
class Adapter:
    name: str
    workload: str
    run_id: str
    frozen: FrozenAdapter
    method: str
    plan: dict[str, Any] | None
    dataset_id: str
    train_rows: int
    rows_seen: int | None
    steps: int
    final_loss: float
    eval_loss: float | None
    seconds: float
    peak_memory_gb: float | None
    estimated_memory_gb: float | None
    warnings: list[str]
    trained_at: datetime


@dataclass(frozen=True)
class PublishedRuns:
    views: PublishedViews

    async def dataset(self, workload: str, version: int | None) -> Dataset | None:
        """That version of the workload's dataset, or the newest."""
        for dataset in await self.datasets(workload):
            if version in (None, dataset.version):
                return dataset
        return None

    async def datasets(self, workload: str) -> list[Dataset]:
        """The newest first."""
        rows = await self.views.rows(
            "SELECT dataset_id, version FROM datasets_v1 WHERE workload = {workload:String} "
            "ORDER BY version DESC",
            workload=workload,
        )
        return [Dataset(row["dataset_id"], row["version"]) for row in rows]

    async def runs(self, workload: str = "", beginning: str = "") -> list[Run]:
        """The newest first: of a workload or of all, and those whose id begins so."""
        rows = await self.views.rows(
            f"""SELECT * FROM runs_v1 WHERE (workload = {{workload:String}} OR {{workload:String}} = '')
                AND startsWith(run_id, {{beginning:String}}) ORDER BY changed_at DESC LIMIT {MOST}""",
            workload=workload,
            beginning=beginning,
        )
        return [_run(row) for row in rows]

    async def adapters(self, workload: str = "") -> list[Adapter]:
        """The newest first; of one that came without a contract the copy that answers in its place."""
        rows = await self.views.rows(
            f"""SELECT * FROM adapters_v1 WHERE workload = {{workload:String}} OR {{workload:String}} = ''
                ORDER BY trained_at DESC LIMIT {MOST}""",
            workload=workload,
        )
        copies = {
            (row["workload"], row["adapter"]): {name: row[name] for name in ("uri", "digest", "base_model")}
            for row in await self.views.rows(
                "SELECT * FROM contracted_adapters_v1 "
                "WHERE workload = {workload:String} OR {workload:String} = ''",
                workload=workload,
            )
        }
        return [_adapter({**row, **copies.get((row["workload"], row["name"]), {})}) for row in rows]

    async def aliases(self, workload: str) -> list[Alias]:
        """Who was champion when, from the first to the present one."""
        rows = await self.views.rows(
            "SELECT adapter, kind FROM champions_v1 WHERE workload = {workload:String} ORDER BY revision",
            workload=workload,
        )
        return [Alias(row["adapter"], row["kind"]) for row in rows]

    async def verdicts(self, workload: str) -> dict[str, str]:
        """Run id → PROMOTE, HOLD or REJECT."""
        rows = await self.views.rows(
            "SELECT run_id, verdict FROM verdicts_v1 WHERE workload = {workload:String}", workload=workload
        )
        return {row["run_id"]: row["verdict"] for row in rows}

    async def accuracy(self, workload: str, run_id: str) -> Rate | None:
        """What a run's candidate scored on the held-out rows."""
        rows = await self.views.rows(
            "SELECT scorecard FROM scorecards_v1 "
            "WHERE workload = {workload:String} AND run_id = {run:String}",
            workload=workload,
            run=run_id,
        )
        return Scorecard.model_validate(json.loads(rows[0]["scorecard"])).held_out if rows else None


def _run(row: Mapping[str, Any]) -> Run:
    own = {
        "training": _object(row["training"]),
        "plan": _object(row["plan"]),
        "changed_at": utc(row["changed_at"]),
    }
    return Run(**{name: row[name] for name in Run.__dataclass_fields__} | own)


def _adapter(row: Mapping[str, Any]) -> Adapter:
    frozen = {name: row[name] for name in FrozenAdapter.model_fields}
    own: dict[str, Any] = {
        "frozen": FrozenAdapter(**frozen),
        "plan": _object(row["plan"]),
        "trained_at": utc(row["trained_at"]),
    }
    known = {name: row[name] for name in Adapter.__dataclass_fields__ if name not in own}
    return Adapter(**known | own)


def _object(said: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = json.loads(said) if said else None
    return found
