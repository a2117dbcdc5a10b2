"""All SQL of the console: it reads the views that other services publish, and writes nothing.

Long because it is a list: one method for each view that a page shows.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from services.console import page_queries
from services.console.cycle_status import Snapshot
from services.console.views import Row, Views, millis, number, utc
from shared.events import DatasetCounts, Evidence, Guardrail, Rate, Scorecard
from shared.intervals import wilson
from shared.workload import Workload

IS_AUDITED = """prediction_id IN (
    SELECT prediction_id FROM flags_v1 WHERE workload = {workload:String} AND reason = 'audit'
        AND prediction_id IN (SELECT prediction_id FROM corrections_v1 WHERE workload = {workload:String}))"""
"""Of a correction: drawn at random. A workload has many times as many flags as corrections."""
COUNTED_SECONDS = 300  # `prediction_counts_v1` counts in stretches of so long


class ConsoleStore(Views):
    async def snapshot(
        self, definition: Workload, champion: str, champion_since: datetime | None, now: datetime
    ) -> Snapshot:
        """All that the first page and the candidates are drawn from."""
        name = definition.name
        return Snapshot(
            definition=definition,
            champion=champion,
            champion_since=champion_since,
            traffic=await self.traffic(name, now - timedelta(days=1), definition.review.doubt_below),
            reviewing=await self.reviewing(name),
            cycle=await self.last_cycle(name),
            clusters=await self.clusters(name),
            datasets=await self.datasets(name),
            refusal=await self.last_refusal(name),
            runs=await self.runs(name),
            evaluations=await self.evaluations(name),
            pairs=await self.pairs(name),
            verdicts=await self.verdicts(name),
            revisions=await self.revisions(name),
            audited=await self.audited(name, champion),
        )

    async def traffic(self, workload: str, since: datetime, doubt_below: float) -> page_queries.Traffic:
        predictions = await self.first(
            "prediction_counts_v1",
            "SELECT sum(predictions) AS n, max(last_predicted_at) AS last_at, "
            "sum(arraySum(mapValues(mapFilter((percent, n) -> percent < {doubt:Float64}, confidences)))) "
            "AS doubted "
            "FROM prediction_counts_v1 WHERE workload = {workload:String} "
            "AND made_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')",
            workload=workload,
            doubt=round(100 * doubt_below, 4),
            since=millis(since),
        )
        feedback = await self.first(
            "feedback_v1",
            "SELECT count() AS n, countIf(thumb = 'down' OR ifNull(score, 1) < 0.5) AS negative "
            "FROM feedback_v1 WHERE workload = {workload:String} "
            "AND given_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')",
            workload=workload,
            since=millis(since),
        )
        unmatched = await self.first(
            "unmatched_feedback_v1",
            "SELECT count() AS n FROM unmatched_feedback_v1 WHERE workload = {workload:String} "
            "AND given_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')",
            workload=workload,
            since=millis(since),
        )
        n = number(predictions, "n")
        return page_queries.Traffic(
            n,
            number(predictions, "doubted"),
            number(feedback, "n"),
            number(feedback, "negative"),
            utc(predictions["last_at"]) if n else None,
            number(unmatched, "n"),
        )

    async def reviewing(self, workload: str) -> page_queries.Reviewing:
        queue = await self.first(
            "review_items_v1",
            "SELECT countIf(state = 'open') AS open, countIf(state = 'disputed') AS disputed "
            "FROM review_items_v1 WHERE workload = {workload:String}",
            workload=workload,
        )
        corrections = await self.first(
            "corrections_v1",
            "SELECT count() AS n, max(corrected_at) AS last_at FROM corrections_v1 "
            "WHERE workload = {workload:String}",
            workload=workload,
        )
        n = number(corrections, "n")
        return page_queries.Reviewing(
            number(queue, "open"),
            number(queue, "disputed"),
            n,
            await self.agreement(workload),
            utc(corrections["last_at"]) if n else None,
        )

    async def agreement(self, workload: str) -> Rate:
        row = await self.first(
            "agreement_v1",
            "SELECT sum(n) AS n, sum(agreed) AS agreed FROM agreement_v1 WHERE workload = {workload:String}",
            workload=workload,
        )
        return wilson(number(row, "agreed"), number(row, "n"))

    async def last_cycle(self, workload: str) -> page_queries.Cycle | None:
        row = await self.first(
            "cycles_v1",
            "SELECT cycle_id, cutoff, reason, requested_by FROM cycles_v1 WHERE workload = {workload:String} "
            "ORDER BY cutoff DESC LIMIT 1",
            workload=workload,
        )
        return _cycle(row) if row else None

    async def cycle(self, workload: str, cycle_id: str) -> page_queries.Cycle | None:
        row = await self.first(
            "cycles_v1",
            "SELECT cycle_id, cutoff, reason, requested_by FROM cycles_v1 "
            "WHERE workload = {workload:String} AND cycle_id = {cycle:String} LIMIT 1",
            workload=workload,
            cycle=cycle_id,
        )
        return _cycle(row) if row else None

    async def clusters(self, workload: str) -> list[page_queries.Cluster]:
        """Those of the last cycle that found any, the largest first."""
        newest = await self.first(
            "clusters_v1",
            "SELECT cycle_id FROM clusters_v1 WHERE workload = {workload:String} "
            "ORDER BY found_at DESC LIMIT 1",
            workload=workload,
        )
        return await self.clusters_of(workload, newest["cycle_id"]) if newest else []

    async def clusters_of(self, workload: str, cycle_id: str) -> list[page_queries.Cluster]:
        """Those of one cycle, the largest first."""
        rows = await self.rows(
            "clusters_v1",
            "SELECT cycle_id, name, size, found_at FROM clusters_v1 "
            "WHERE workload = {workload:String} AND cycle_id = {cycle:String} "
            "ORDER BY size DESC, name LIMIT 50",
            workload=workload,
            cycle=cycle_id,
        )
        return [
            page_queries.Cluster(row["cycle_id"], row["name"], int(row["size"]), utc(row["found_at"]))
            for row in rows
        ]

    async def corrections_until(self, workload: str, cutoff: datetime) -> int:
        row = await self.first(
            "corrections_v1",
            "SELECT count() AS n FROM corrections_v1 WHERE workload = {workload:String} "
            "AND corrected_at <= fromUnixTimestamp64Milli({cutoff:Int64}, 'UTC')",
            workload=workload,
            cutoff=millis(cutoff),
        )
        return number(row, "n")

    async def datasets(self, workload: str) -> list[page_queries.Dataset]:
        """Newest first."""
        rows = await self.rows(
            "datasets_v1",
            "SELECT dataset_id, version, ifNull(cycle_id, '') AS cycle, cutoff, train_rows, train_digest, "
            "manifest_uri, "
            "seed, corrected, duplicates, leaks_blocked, invalid, redacted_values, published_at FROM "
            "datasets_v1 "
            "WHERE workload = {workload:String} ORDER BY version DESC LIMIT 100",
            workload=workload,
        )
        return [
            page_queries.Dataset(
                row["dataset_id"],
                int(row["version"]),
                row["cycle"],
                utc(row["cutoff"]),
                int(row["train_rows"]),
                row["train_digest"],
                row["manifest_uri"],
                DatasetCounts.model_validate({name: row[name] for name in DatasetCounts.model_fields}),
                utc(row["published_at"]),
            )
            for row in rows
        ]

    async def last_refusal(self, workload: str) -> page_queries.Refusal | None:
        row = await self.first(
            "dataset_refusals_v1",
            "SELECT ifNull(cycle_id, '') AS cycle, reason, refused_at FROM dataset_refusals_v1 "
            "WHERE workload = {workload:String} ORDER BY refused_at DESC LIMIT 1",
            workload=workload,
        )
        return page_queries.Refusal(row["cycle"], row["reason"], utc(row["refused_at"])) if row else None

    async def runs(self, workload: str) -> list[page_queries.Run]:
        """Newest first."""
        rows = await self.rows(
            "runs_v1",
            "SELECT run_id, dataset_id, ifNull(cycle_id, '') AS cycle, candidate, state, steps, "
            "final_loss, seconds, "
            "reason, changed_at, method, requested_by, training, plan, train_rows, rows_seen, eval_loss, "
            "warnings FROM runs_v1 WHERE workload = {workload:String} ORDER BY changed_at "
            "DESC LIMIT 100",
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
            )
            for row in rows
        ]

    async def evaluations(self, workload: str) -> list[page_queries.Evaluation]:
        """Newest first."""
        rows = await self.rows(
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
        rows = await self.rows(
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
        rows = await self.rows(
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
        rows = await self.rows(
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

    async def audited(self, workload: str, adapter: str) -> Rate:
        """How often an adapter was right on the predictions drawn at random that reviewers agreed on."""
        if not await self.has("flags_v1"):
            return wilson(0, 0)
        row = await self.first(
            "corrections_v1",
            "SELECT count() AS n, countIf(answer = right_answer) AS hits FROM corrections_v1 "
            f"WHERE workload = {{workload:String}} AND adapter = {{adapter:String}} AND {IS_AUDITED}",
            workload=workload,
            adapter=adapter,
        )
        return wilson(number(row, "hits"), number(row, "n"))

    async def span(self, workload: str, since: datetime) -> tuple[datetime, datetime] | None:
        """The times of the first, to five minutes, and of the last prediction since then."""
        row = await self.first(
            "prediction_counts_v1",
            "SELECT sum(predictions) AS n, min(made_at) AS first_at, max(last_predicted_at) AS last_at "
            "FROM prediction_counts_v1 WHERE workload = {workload:String} "
            "AND made_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')",
            workload=workload,
            since=millis(since),
        )
        return (utc(row["first_at"]), utc(row["last_at"])) if number(row, "n") else None

    async def buckets(self, workload: str, since: datetime, width: timedelta) -> list[page_queries.Bucket]:
        """Predictions since then in stretches of `width`, in order; stretches without any are left out."""
        seconds = int(width.total_seconds())
        asked = {"workload": workload, "since": millis(since), "seconds": seconds}
        bucket = "intDiv(toUnixTimestamp(predicted_at), {seconds:Int64}) * {seconds:Int64} AS start"
        scope = (
            "WHERE workload = {workload:String} "
            "AND predicted_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')"
        )
        is_counted = seconds % COUNTED_SECONDS == 0
        predictions = await (self._counted if is_counted else self._arrived)(**asked)
        audits: dict[int, Row] = {}
        if await self.has("flags_v1"):
            rows = await self.rows(
                "corrections_v1",
                f"SELECT {bucket}, count() AS n, countIf(answer = right_answer) AS hits FROM "
                f"corrections_v1 {scope} "
                f"AND {IS_AUDITED} GROUP BY start",
                **asked,
            )
            audits = {int(row["start"]): row for row in rows}
        return [
            page_queries.Bucket(
                datetime.fromtimestamp(int(row["start"]), UTC),
                int(row["n"]),
                float(row["confidence"]),
                number(audits.get(int(row["start"]), {}), "n"),
                number(audits.get(int(row["start"]), {}), "hits"),
            )
            for row in predictions
        ]

    async def _counted(self, **asked: Any) -> list[dict[str, Any]]:
        return await self.rows(
            "prediction_counts_v1",
            "SELECT intDiv(toUnixTimestamp(made_at), {seconds:Int64}) * {seconds:Int64} AS start, "
            "sum(predictions) AS n, sum(confidence_sum) / n AS confidence FROM prediction_counts_v1 "
            "WHERE workload = {workload:String} "
            "AND made_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') GROUP BY start ORDER BY start",
            **asked,
        )

    async def _arrived(self, **asked: Any) -> list[dict[str, Any]]:
        """The line is drawn so finely only where all traffic came within an hour."""
        return await self.rows(
            "arrivals_v1",
            "SELECT intDiv(toUnixTimestamp(predicted_at), {seconds:Int64}) * {seconds:Int64} AS start, "
            "uniqExact(cityHash64(prediction_id)) AS n, avg(confidence) AS confidence FROM arrivals_v1 "
            "WHERE workload = {workload:String} "
            "AND predicted_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') "
            "GROUP BY start ORDER BY start",
            **asked,
        )


def _cycle(row: Row) -> page_queries.Cycle:
    return page_queries.Cycle(row["cycle_id"], utc(row["cutoff"]), row["reason"], row["requested_by"])


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
