"""All SQL of retraining: runs, scorecards, and what models have already answered."""

from __future__ import annotations

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
    FrozenFile,
    TrainingFailed,
)
from shared.fields import Part


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

    async def training(self, run_id: str, dataset: DatasetPublished, at: datetime) -> None:
        await self._keep(run_id, dataset, RunState.TRAINING, at)

    async def evaluating(self, trained: CandidateTrained) -> None:
        await self._keep(
            trained.run_id,
            trained,
            RunState.EVALUATING,
            trained.trained_at,
            candidate=trained.candidate.name,
            steps=trained.steps,
            final_loss=trained.final_loss,
            seconds=trained.seconds,
        )

    async def evaluated(self, event: CandidateEvaluated, trained: CandidateTrained) -> None:
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
            candidate=event.candidate.name,
            steps=trained.steps,
            final_loss=trained.final_loss,
            seconds=trained.seconds + event.seconds,
        )

    async def failed(self, event: TrainingFailed, dataset: DatasetPublished) -> None:
        await self._keep(event.run_id, dataset, RunState.FAILED, event.failed_at, reason=event.reason)

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
        }
        await self.clickhouse.insert("runs", [row | known])
