"""SQL on what becomes of a dataset: runs, scorecards, pairs, verdicts and the alias."""

from __future__ import annotations

import json
from typing import Any

from services.console import page_queries
from services.console.views import Row, Views
from shared.events import Evidence, Guardrail, Scorecard
from shared.times import utc


class CandidateViews:
    """A workload's candidates, and which of them answered users."""

    def __init__(self, views: Views) -> None:
        self._views = views

    async def runs(self, workload: str) -> list[page_queries.Run]:
        """Newest first."""
        rows = await self._views.rows(
            "runs_v1",
            "SELECT run_id, dataset_id, ifNull(cycle_id, '') AS cycle, candidate, state, steps, "
            "final_loss, seconds, "
            "reason, changed_at, method, requested_by, training, plan, train_rows, rows_seen, eval_loss, "
            "warnings, peak_memory_gb, estimated_memory_gb FROM runs_v1 WHERE workload = {workload:String} "
            "ORDER BY changed_at DESC LIMIT 100",
            workload=workload,
        )
        return [
            page_queries.Run(
                row["run_id"],
                row["dataset_id"],
                row["cycle"],
                row["candidate"] or "",
                row["state"],
                int(row["steps"] or 0),
                float(row["final_loss"] or 0),
                float(row["seconds"] or 0),
                row["reason"] or "",
                utc(row["changed_at"]),
                row["method"],
                row["requested_by"],
                _object(row["training"]),
                _object(row["plan"]),
                int(row["train_rows"]),
                row["rows_seen"],
                row["eval_loss"],
                row["warnings"],
                row["peak_memory_gb"],
                row["estimated_memory_gb"],
            )
            for row in rows
        ]

    async def evaluations(self, workload: str) -> list[page_queries.Evaluation]:
        """Newest first."""
        rows = await self._views.rows(
            "scorecards_v1",
            "SELECT run_id, dataset_id, ifNull(cycle_id, '') AS cycle, candidate, ifNull(champion, '') "
            "AS held, "
            "scorecard, evaluated_at FROM scorecards_v1 WHERE workload = {workload:String} "
            "ORDER BY evaluated_at DESC LIMIT 100",
            workload=workload,
        )
        return [
            page_queries.Evaluation(
                row["run_id"],
                row["dataset_id"],
                row["cycle"],
                row["candidate"],
                row["held"],
                Scorecard.model_validate_json(row["scorecard"]),
                utc(row["evaluated_at"]),
            )
            for row in rows
        ]

    async def pairs(self, workload: str) -> list[page_queries.Pairs]:
        """One row a run, the newest first."""
        rows = await self._views.rows(
            "pairs_v1",
            "SELECT run_id, count() AS n, countIf(differs) AS differing, "
            "countIf(differs AND right_answer = candidate_answer) AS candidate_right, "
            "countIf(differs AND right_answer = champion_answer) AS champion_right, max(recorded_at) AS "
            "last_at "
            "FROM pairs_v1 WHERE workload = {workload:String} GROUP BY run_id ORDER BY last_at DESC "
            "LIMIT 100",
            workload=workload,
        )
        return [
            page_queries.Pairs(
                row["run_id"],
                int(row["n"]),
                int(row["differing"]),
                int(row["candidate_right"]),
                int(row["champion_right"]),
                utc(row["last_at"]),
            )
            for row in rows
        ]

    async def verdicts(self, workload: str) -> list[page_queries.Judged]:
        """Newest first."""
        rows = await self._views.rows(
            "verdicts_v1",
            "SELECT run_id, dataset_id, ifNull(cycle_id, '') AS cycle, candidate, ifNull(champion, '') "
            "AS held, "
            "verdict, reason, evidence, guardrails, judged_at FROM verdicts_v1 "
            "WHERE workload = {workload:String} ORDER BY judged_at DESC LIMIT 100",
            workload=workload,
        )
        return [_judged(row) for row in rows]

    async def revisions(self, workload: str) -> list[page_queries.AliasRevision]:
        """Oldest first. Where the alias moved to a copy of the same adapter, nobody else answers."""
        rows = await self._views.rows(
            "champions_v1",
            "SELECT adapter, kind, run_id, since FROM champions_v1 WHERE workload = {workload:String} "
            "ORDER BY revision",
            workload=workload,
        )
        shown = [
            row
            for number, row in enumerate(rows)
            if not number or row["adapter"] != rows[number - 1]["adapter"]
        ]
        return [
            page_queries.AliasRevision(row["adapter"], row["kind"], row["run_id"] or "", utc(row["since"]))
            for row in shown
        ]

    async def waits(self, workload: str) -> dict[str, page_queries.Waits]:
        rows = await self._views.rows(
            "shadow_waits_v1",
            "SELECT run_id, since, why FROM shadow_waits_v1 WHERE workload = {workload:String}",
            workload=workload,
        )
        return {row["run_id"]: page_queries.Waits(utc(row["since"]), row["why"]) for row in rows}

    async def lost_champion(self, workload: str) -> str:
        row = await self._views.first(
            "lost_champions_v1",
            "SELECT reason FROM lost_champions_v1 WHERE workload = {workload:String} LIMIT 1",
            workload=workload,
        )
        return str(row.get("reason", ""))


def _judged(row: Row) -> page_queries.Judged:
    return page_queries.Judged(
        row["run_id"],
        row["dataset_id"],
        row["cycle"],
        row["candidate"],
        row["held"],
        row["verdict"],
        row["reason"],
        Evidence.model_validate_json(row["evidence"]),
        [Guardrail.model_validate(one) for one in json.loads(row["guardrails"])],
        utc(row["judged_at"]),
    )


def _object(said: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = json.loads(said) if said else None
    return found
