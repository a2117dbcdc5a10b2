"""All SQL of retraining: runs, scorecards, and what models have already answered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.clickhouse import ClickHouse
from shared.events import (
    CandidateEvaluated,
    CandidateTrained,
    DatasetPublished,
    FrozenAdapter,
    FrozenFile,
    RunCancelRequested,
    TrainingFailed,
)
from shared.fields import Part
from shared.workload import Training


class RunState(StrEnum):
    """In order: a run never goes back."""

    TRAINING = "training"
    EVALUATING = "evaluating"
    EVALUATED = "evaluated"
    FAILED = "failed"


class ModelAnswers(Part):
    """A frozen file of one model's answers to one set of questions: JSON Lines of {"label", "confidence"}."""

    model: str
    questions_digest: str
    file: FrozenFile


@dataclass(frozen=True)
class RunStore:
    clickhouse: ClickHouse

    async def training(
        self, run_id: str, dataset: DatasetPublished, wanted: Training, requested_by: str, at: datetime
    ) -> None:
        """`requested_by` is empty for the run that follows a dataset by itself."""
        await self._keep(run_id, dataset, RunState.TRAINING, at, wanted, requested_by)

    async def evaluating(self, trained: CandidateTrained, wanted: Training, requested_by: str) -> None:
        adapter = trained.candidate
        row = {
            "workload": trained.workload,
            "name": adapter.name,
            "run_id": trained.run_id,
            "uri": adapter.uri,
            "digest": adapter.digest,
            "base_model": adapter.base_model,
            "dataset_id": trained.dataset_id,
            "cycle_id": trained.cycle_id or "",
            "trained_at": trained.trained_at,
            **_what_came_of(trained),
        }
        await self.clickhouse.insert("adapters", [row])
        await self._keep(
            trained.run_id,
            trained,
            RunState.EVALUATING,
            trained.trained_at,
            wanted,
            requested_by,
            candidate=adapter.name,
            **_what_came_of(trained),
        )

    async def adapters(self, workload: str, names: Sequence[str]) -> tuple[FrozenAdapter, ...]:
        """The workload's adapters of these names, in their order; a name it does not have is left out.

        Of one that came without a contract the copy that shadow_deployment gave one.
        """
        if not names:
            return ()
        known: dict[str, FrozenAdapter] = {}
        for table in (
            "(SELECT * FROM adapters FINAL)",
            "(SELECT *, adapter AS name FROM contracted_adapters_v1)",
        ):
            rows = await self.clickhouse.published_rows(
                f"SELECT name, uri, digest, base_model FROM {table} "
                "WHERE workload = {workload:String} AND name IN {names:Array(String)}",
                workload=workload,
                names=list(names),
            )
            known |= {row["name"]: FrozenAdapter(**row) for row in rows}
        return tuple(known[name] for name in names if name in known)

    async def evaluated(
        self, event: CandidateEvaluated, trained: CandidateTrained, wanted: Training, requested_by: str
    ) -> None:
        row = {
            "run_id": event.run_id,
            "workload": event.workload,
            "dataset_id": event.dataset_id,
            "cycle_id": event.cycle_id or "",
            "candidate": event.candidate.name,
            "champion": event.champion or "",
            "scorecard": event.scorecard.model_dump_json(),
            "evaluated_at": event.evaluated_at,
        }
        await self.clickhouse.insert("scorecards", [row])
        await self._keep(
            event.run_id,
            event,
            RunState.EVALUATED,
            event.evaluated_at,
            wanted,
            requested_by,
            candidate=event.candidate.name,
            **_what_came_of(trained) | {"seconds": trained.seconds + event.seconds},
        )

    async def failed(
        self,
        event: TrainingFailed,
        dataset: DatasetPublished,
        trained: CandidateTrained | None,
        wanted: Training,
        requested_by: str,
    ) -> None:
        """`trained` is there for a run that failed in its evaluation."""
        known = {"candidate": trained.candidate.name, **_what_came_of(trained)} if trained else {}
        await self._keep(
            event.run_id,
            dataset,
            RunState.FAILED,
            event.failed_at,
            wanted,
            requested_by,
            reason=event.reason,
            **known,
        )

    async def keep_cancellation(self, event: RunCancelRequested) -> None:
        fields = {"run_id", "workload", "requested_by", "reason", "requested_at"}
        await self.clickhouse.insert("run_cancellations", [event.model_dump(include=fields)])

    async def why_cancelled(self, run_id: str) -> str | None:
        """Who wanted the run to end, and why; None if nobody did."""
        rows = await self.clickhouse.rows(
            "SELECT requested_by, reason FROM run_cancellations FINAL WHERE run_id = {run_id:String}",
            run_id=run_id,
        )
        return f"cancelled by {rows[0]['requested_by']}: {rows[0]['reason']}" if rows else None

    async def keep_answers(self, answers: Sequence[ModelAnswers], at: datetime) -> None:
        rows = [
            {
                "model": one.model,
                "questions_digest": one.questions_digest,
                "uri": one.file.uri,
                "digest": one.file.digest,
                "rows": one.file.rows,
                "answered_at": at,
            }
            for one in answers
        ]
        await self.clickhouse.insert("model_answers", rows)

    async def answers_of(self, models: Sequence[str]) -> list[ModelAnswers]:
        """Everything these models (an adapter's digest, a base model's name) have answered so far."""
        rows = await self.clickhouse.rows(
            "SELECT * FROM model_answers FINAL WHERE model IN {models:Array(String)}", models=list(models)
        )
        return [
            ModelAnswers(
                model=row["model"],
                questions_digest=row["questions_digest"],
                file=FrozenFile(uri=row["uri"], digest=row["digest"], rows=row["rows"]),
            )
            for row in rows
        ]

    async def tell_limits(self, lora_rank: int, at: datetime) -> None:
        await self.clickhouse.insert(
            "training_limits", [{"name": "now", "lora_rank": lora_rank, "told_at": at}]
        )

    async def _keep(
        self,
        run_id: str,
        cause: DatasetPublished | CandidateTrained | CandidateEvaluated,
        state: RunState,
        at: datetime,
        wanted: Training,
        requested_by: str,
        **known: Any,
    ) -> None:
        row = {
            "run_id": run_id,
            "workload": cause.workload,
            "dataset_id": cause.dataset_id,
            "cycle_id": cause.cycle_id or "",
            "candidate": "",
            "state": state.value,
            "steps": 0,
            "final_loss": 0.0,
            "seconds": 0.0,
            "reason": "",
            "changed_at": at,
            "place": list(RunState).index(state),
            "requested_by": requested_by,
            "training": wanted.model_dump_json(exclude_none=True),
            "method": wanted.method or "",
        }
        await self.clickhouse.insert("runs", [row | known])


def _what_came_of(trained: CandidateTrained) -> dict[str, Any]:
    return {
        "method": trained.method,
        "plan": json.dumps(trained.plan) if trained.plan else "",
        "train_rows": trained.train_rows,
        "rows_seen": trained.rows_seen,
        "steps": trained.steps,
        "final_loss": trained.final_loss,
        "eval_loss": trained.eval_loss,
        "seconds": trained.seconds,
        "peak_memory_gb": trained.peak_memory_gb,
        "estimated_memory_gb": trained.estimated_memory_gb,
        "warnings": list(trained.warnings),
    }
