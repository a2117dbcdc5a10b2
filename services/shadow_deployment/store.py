"""SQL on the shadow's own tables: candidates, pairs, right answers, verdicts and the alias's history."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.shadow_deployment.alias_rows import history_of, row_of
from services.shadow_deployment.champion_history import AliasRevision
from services.shadow_deployment.clickhouse_times import to_the_millisecond
from services.shadow_deployment.pair import Pair
from shared.clickhouse import ClickHouse
from shared.events import (
    CandidateEvaluated,
    CandidateJudged,
    FrozenAdapter,
    PredictionCorrected,
    RollbackRequested,
    ShadowPairRecorded,
)
from shared.times import utc


class ShadowStore:
    """The tables of `migrations/`. Keeping the same thing again changes nothing."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def keep_candidate(self, event: CandidateEvaluated) -> None:
        row = {
            "run_id": event.run_id,
            "workload": event.workload,
            "candidate": event.candidate.name,
            "event": event.model_dump_json(),
            "evaluated_at": event.evaluated_at,
        }
        await self._clickhouse.insert("shadow_candidates", [row])

    async def waiting(self, workload: str) -> list[CandidateEvaluated]:
        """Candidates without a verdict, the oldest first."""
        rows = await self._clickhouse.rows(
            "SELECT event FROM shadow_candidates FINAL WHERE workload = {workload:String} "
            "AND run_id NOT IN (SELECT run_id FROM verdicts WHERE workload = {workload:String}) "
            "ORDER BY evaluated_at, run_id",
            workload=workload,
        )
        return [CandidateEvaluated.model_validate_json(row["event"]) for row in rows]

    async def evaluated(self, workload: str) -> list[CandidateEvaluated]:
        """Every candidate there ever was, the oldest first."""
        rows = await self._clickhouse.rows(
            "SELECT event FROM shadow_candidates FINAL WHERE workload = {workload:String} "
            "ORDER BY evaluated_at, run_id",
            workload=workload,
        )
        return [CandidateEvaluated.model_validate_json(row["event"]) for row in rows]

    async def keep_contracted(self, workload: str, copy: FrozenAdapter) -> None:
        row = {"workload": workload, "adapter": copy.name} | copy.model_dump(exclude={"name"})
        await self._clickhouse.insert("contracted_adapters", [row])

    async def contracted(self, workload: str) -> dict[str, FrozenAdapter]:
        """Adapters that came without a contract, by name → the copy that has one."""
        rows = await self._clickhouse.rows(
            "SELECT * FROM contracted_adapters FINAL WHERE workload = {workload:String}", workload=workload
        )
        return {
            row["adapter"]: FrozenAdapter(
                name=row["adapter"], uri=row["uri"], digest=row["digest"], base_model=row["base_model"]
            )
            for row in rows
        }

    async def adapters(self, workload: str) -> dict[str, bool]:
        """The name of every candidate there ever was → whether all about it is settled and published."""
        rows = await self._clickhouse.rows(
            "SELECT candidate, min(run_id IN ("
            "  SELECT run_id FROM verdicts WHERE workload = {workload:String} AND published = 1"
            ")) AS settled FROM shadow_candidates FINAL WHERE workload = {workload:String} "
            "GROUP BY candidate",
            workload=workload,
        )
        return {row["candidate"]: bool(row["settled"]) for row in rows}

    async def workloads_with_work(self) -> list[str]:
        """Workloads with a candidate that is not judged, or with something decided and not yet published."""
        rows = await self._clickhouse.rows(
            """SELECT DISTINCT workload FROM (
                SELECT workload FROM shadow_candidates FINAL WHERE run_id NOT IN (SELECT run_id FROM verdicts)
                UNION ALL SELECT workload FROM verdicts FINAL WHERE published = 0
                UNION ALL SELECT workload FROM alias_revisions FINAL WHERE published = 0
            ) ORDER BY workload"""
        )
        return [str(row["workload"]) for row in rows]

    async def waits_since(self, candidate: CandidateEvaluated) -> datetime | None:
        """Since when it waits for the model server; None if it does not."""
        rows = await self._clickhouse.rows(
            "SELECT since FROM candidate_waits FINAL "
            "WHERE workload = {workload:String} AND run_id = {run_id:String} AND why != ''",
            workload=candidate.workload,
            run_id=candidate.run_id,
        )
        return utc(rows[0]["since"]) if rows else None

    async def keep_wait(self, candidate: CandidateEvaluated, since: datetime, why: str, at: datetime) -> None:
        row = {
            "workload": candidate.workload,
            "run_id": candidate.run_id,
            "since": since,
            "why": why,
            "told_at": at,
        }
        await self._clickhouse.insert("candidate_waits", [row])

    async def keep_pairs(self, pairs: Sequence[ShadowPairRecorded]) -> None:
        await self._clickhouse.insert("pairs", [pair.model_dump() for pair in pairs])

    async def pair_events(self, workload: str, run_id: str) -> list[ShadowPairRecorded]:
        rows = await self._clickhouse.rows(
            "SELECT * FROM pairs FINAL WHERE workload = {workload:String} AND run_id = {run_id:String} "
            "ORDER BY predicted_at, prediction_id",
            workload=workload,
            run_id=run_id,
        )
        return [ShadowPairRecorded.model_validate(_aware(row)) for row in rows]

    async def pairs(self, workload: str, run_id: str) -> list[Pair]:
        """In the order of their requests."""
        rows = await self._clickhouse.rows(
            "SELECT champion_answer, candidate_answer, right_answer, reviewers FROM pairs_v1 "
            "WHERE workload = {workload:String} AND run_id = {run_id:String} "
            "ORDER BY predicted_at, prediction_id",
            workload=workload,
            run_id=run_id,
        )
        return [
            Pair(
                row["champion_answer"], row["candidate_answer"], row["right_answer"] or None, row["reviewers"]
            )
            for row in rows
        ]

    async def pair_counts(
        self, workload: str, run_id: str, recorded_after: datetime, reviewers: int
    ) -> tuple[int, int]:
        """All pairs of a run; and those recorded after a time that differ and wait for so many reviewers."""
        [row] = await self._clickhouse.rows(
            "SELECT count() AS pairs, countIf(differs AND reviewers < {reviewers:UInt16} "
            "  AND recorded_at > {recorded_after:DateTime64(3, 'UTC')}) AS waiting "
            "FROM pairs_v1 WHERE workload = {workload:String} AND run_id = {run_id:String}",
            workload=workload,
            run_id=run_id,
            recorded_after=to_the_millisecond(recorded_after),
            reviewers=reviewers,
        )
        return int(row["pairs"]), int(row["waiting"])

    async def keep_right_answers(self, events: Sequence[PredictionCorrected]) -> None:
        fields = {"workload", "prediction_id", "right_answer", "corrected_at"}
        await self._clickhouse.insert(
            "shadow_right_answers",
            [event.model_dump(include=fields) | {"reviewers": len(set(event.reviewers))} for event in events],
        )

    async def keep_verdict(self, event: CandidateJudged, *, is_published: bool) -> None:
        row = {
            "run_id": event.run_id,
            "workload": event.workload,
            "dataset_id": event.dataset_id,
            "cycle_id": event.cycle_id or "",
            "candidate": event.candidate.name,
            "champion": event.champion or "",
            "verdict": event.verdict.value,
            "reason": event.reason,
            "evidence": event.evidence.model_dump_json(),
            "guardrails": json.dumps([guardrail.model_dump() for guardrail in event.guardrails]),
            "judged_at": event.judged_at,
            "event": event.model_dump_json(),
            "published": int(is_published),
        }
        await self._clickhouse.insert("verdicts", [row])

    async def unpublished_verdicts(self, workload: str) -> list[CandidateJudged]:
        rows = await self._clickhouse.rows(
            "SELECT event FROM verdicts FINAL WHERE workload = {workload:String} AND published = 0 "
            "ORDER BY judged_at, run_id",
            workload=workload,
        )
        return [CandidateJudged.model_validate_json(row["event"]) for row in rows]

    async def keep_alias_revision(self, revision: AliasRevision) -> None:
        await self._clickhouse.insert("alias_revisions", [row_of(revision)])

    async def history(self, workload: str) -> list[AliasRevision]:
        """The alias's history, by revision: its last entry answers users."""
        rows = await self._clickhouse.rows(
            "SELECT * FROM alias_revisions FINAL WHERE workload = {workload:String} ORDER BY revision",
            workload=workload,
        )
        return history_of(rows)

    async def keep_lost_champion(
        self, workload: str, champion: FrozenAdapter, reason: str, found_at: datetime
    ) -> None:
        """An empty reason: it can be loaded again."""
        row = {"workload": workload, "adapter": champion.name, "digest": champion.digest}
        await self._clickhouse.insert("lost_champions", [row | {"reason": reason, "found_at": found_at}])

    async def lost_champion(self, workload: str, champion: FrozenAdapter) -> str:
        """Why this champion cannot be loaded any more; empty if nobody found it lost."""
        rows = await self._clickhouse.rows(
            "SELECT reason FROM lost_champions FINAL "
            "WHERE workload = {workload:String} AND digest = {digest:String}",
            workload=workload,
            digest=champion.digest,
        )
        return str(rows[0]["reason"]) if rows else ""

    async def keep_rollback_in_vain(self, event: RollbackRequested) -> None:
        fields = {"workload", "request_id", "requested_at"}
        await self._clickhouse.insert("rollbacks_in_vain", [event.model_dump(include=fields)])

    async def was_in_vain(self, event: RollbackRequested) -> bool:
        rows = await self._clickhouse.rows(
            "SELECT 1 FROM rollbacks_in_vain "
            "WHERE workload = {workload:String} AND request_id = {request_id:String} LIMIT 1",
            workload=event.workload,
            request_id=event.request_id,
        )
        return bool(rows)


def _aware(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: utc(value) if isinstance(value, datetime) else value for name, value in row.items()}
