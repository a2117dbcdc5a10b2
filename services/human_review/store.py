"""The review queue, the reviews and the corrections in ClickHouse; predictions are read from their view."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from services.human_review.agreement import Opinion, State
from services.human_review.items import Kind, OpenItem, QueuedItem
from shared.clickhouse import ClickHouse
from shared.events import PredictionCorrected, ReviewGiven
from shared.times import utc

MOST_WAITING_OF_ONE = 200
"""Predictions that one principal's reviews wait for and that are looked for at a time; others come after."""
IDS_AT_ONCE = 500  # ClickHouse takes no parameter above 128 KiB, and an id may be 128 characters long


@dataclass(frozen=True)
class Prediction:
    """What a correction says about the prediction it corrects."""

    predicted_at: datetime
    adapter: str
    answer: str
    confidence: float


class ReviewStore:
    """All SQL of this service."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def queue(self, items: Iterable[QueuedItem]) -> None:
        rows = [
            asdict(item)
            | {"kind": item.kind.value, "strength": item.kind.strength, "options": list(item.options)}
            for item in items
        ]
        await self._clickhouse.insert("review_items", rows)

    async def keep_reviews(self, reviews: Iterable[ReviewGiven]) -> None:
        await self._clickhouse.insert(
            "reviews", [review.model_dump(exclude={"revision"}) for review in reviews]
        )

    async def opinions(self, workload: str, prediction_ids: Sequence[str]) -> dict[str, list[Opinion]]:
        """Prediction id → one opinion per reviewer, for those predictions that have any."""
        rows = await self._clickhouse.rows(
            """SELECT prediction_id, review_id, reviewer, right_answer, given_at FROM reviews FINAL
            WHERE workload = {workload:String} AND prediction_id IN {ids:Array(String)}
            ORDER BY given_at, review_id""",
            workload=workload,
            ids=list(prediction_ids),
        )
        opinions: dict[str, list[Opinion]] = defaultdict(list)
        for row in rows:
            opinions[row["prediction_id"]].append(
                Opinion(row["review_id"], row["reviewer"], row["right_answer"], utc(row["given_at"]))
            )
        return opinions

    async def kinds(self, workload: str, prediction_ids: Sequence[str]) -> dict[str, Kind]:
        """Prediction id → the strongest reason why it is in the queue."""
        rows = await self._clickhouse.rows(
            """SELECT prediction_id, toString(argMax(kind, strength)) AS strongest FROM review_items
            WHERE workload = {workload:String} AND prediction_id IN {ids:Array(String)}
            GROUP BY prediction_id""",
            workload=workload,
            ids=list(prediction_ids),
        )
        return {row["prediction_id"]: Kind(row["strongest"]) for row in rows}

    async def predictions(self, workload: str, prediction_ids: Sequence[str]) -> dict[str, Prediction]:
        """Those of the predictions that are logged."""
        rows = await self._clickhouse.rows(
            """SELECT prediction_id, predicted_at, adapter, answer, confidence FROM predictions_v1
            WHERE workload = {workload:String} AND prediction_id IN {ids:Array(String)}
            SETTINGS optimize_move_to_prewhere_if_final = 1""",
            workload=workload,
            ids=list(prediction_ids),
        )
        return {
            str(row["prediction_id"]): Prediction(
                utc(row["predicted_at"]), row["adapter"], row["answer"], _share(row["confidence"])
            )
            for row in rows
        }

    async def keep_outcomes(self, workload: str, states: Mapping[str, State], decided_at: datetime) -> None:
        rows = [
            {
                "prediction_id": prediction_id,
                "workload": workload,
                "state": state.value,
                "decided_at": decided_at,
            }
            for prediction_id, state in states.items()
        ]
        await self._clickhouse.insert("review_outcomes", rows)

    async def keep_corrections(self, corrections: Iterable[PredictionCorrected]) -> None:
        await self._clickhouse.insert(
            "corrections", [correction.model_dump(exclude={"review_ids"}) for correction in corrections]
        )

    async def waiting(self, since: datetime) -> dict[str, list[str]]:
        """Workload → predictions that were reviewed since then and not decided on.

        Of each principal those reviewed last: whoever reviews what nobody logged is in nobody else's way.
        """
        rows = await self._clickhouse.rows(
            """SELECT DISTINCT workload, prediction_id FROM (
                SELECT workload, prediction_id, substringIndex(reviewer, '/', 1) AS principal
                FROM reviews
                WHERE given_at >= {since:DateTime64(3, 'UTC')}
                    AND (workload, prediction_id) NOT IN (SELECT workload, prediction_id FROM review_outcomes)
                GROUP BY workload, prediction_id, principal
                ORDER BY max(given_at) DESC LIMIT {most:UInt32} BY principal)""",
            since=since,
            most=MOST_WAITING_OF_ONE,
        )
        waiting: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            waiting[row["workload"]].append(row["prediction_id"])
        return waiting

    async def unmatched(self, until: datetime) -> dict[str, int]:
        """Workload → predictions that were last reviewed before then, and that are not logged to this day."""
        rows = await self._clickhouse.rows(
            """SELECT workload, count() AS n FROM (
                SELECT workload, prediction_id FROM reviews
                WHERE (workload, prediction_id) NOT IN (SELECT workload, prediction_id FROM review_outcomes)
                GROUP BY workload, prediction_id HAVING max(given_at) < {until:DateTime64(3, 'UTC')})
            GROUP BY workload""",
            until=until,
        )
        return {row["workload"]: int(row["n"]) for row in rows}

    async def open_items(
        self, workload: str, reviewer: str, most: int, known: Iterable[OpenItem] = ()
    ) -> tuple[list[OpenItem], bool]:
        """The open items that this reviewer has not judged and whose text is logged, first things first.

        At most 500, and whether they are all there are. Texts of `known` items are not read again.
        """
        # The view says the same, four times slower: it joins everything ever reviewed.
        rows = await self._clickhouse.rows(
            """SELECT prediction_id, predicted_at, kind, options, answer, confidence, reviews_wanted FROM (
                SELECT * FROM review_items FINAL
                WHERE workload = {workload:String}
                    AND prediction_id NOT IN (
                        SELECT prediction_id FROM review_outcomes FINAL
                        WHERE workload = {workload:String} AND state != 'open')
                    AND prediction_id NOT IN (
                        SELECT prediction_id FROM reviews
                        WHERE workload = {workload:String} AND reviewer = {reviewer:String})
                ORDER BY strength DESC LIMIT 1 BY prediction_id)
            ORDER BY priority DESC, prediction_id LIMIT {most:UInt32}""",
            workload=workload,
            reviewer=reviewer,
            most=min(most, IDS_AT_ONCE),
        )
        opinions = await self.opinions(workload, [row["prediction_id"] for row in rows])
        shown = {item.prediction_id: (item.text, item.probabilities) for item in known}
        unread = [row["prediction_id"] for row in rows if row["prediction_id"] not in shown]
        if unread:
            shown |= await self._texts(workload, unread)
        items = [
            OpenItem(
                prediction_id=row["prediction_id"],
                predicted_at=utc(row["predicted_at"]),
                kind=Kind(row["kind"]),
                options=tuple(row["options"]),
                answer=row["answer"],
                confidence=_share(row["confidence"]),
                reviewers=frozenset(one.reviewer for one in opinions.get(row["prediction_id"], ())),
                reviews_wanted=row["reviews_wanted"],
                text=shown[row["prediction_id"]][0],
                probabilities=shown[row["prediction_id"]][1],
            )
            for row in rows
            if row["prediction_id"] in shown
        ]
        return items, len(rows) < most

    async def agreement(self, workload: str) -> tuple[int, int]:
        """Predictions judged by two or more reviewers, and in how many of them the first two agree."""
        rows = await self._clickhouse.rows(
            "SELECT n, agreed FROM agreement_v1 WHERE workload = {workload:String}", workload=workload
        )
        return (rows[0]["n"], rows[0]["agreed"]) if rows else (0, 0)

    async def _texts(self, workload: str, ids: list[str]) -> dict[str, tuple[str, Mapping[str, float]]]:
        rows = await self._clickhouse.rows(
            """SELECT prediction_id, input, probabilities FROM predictions_v1
            WHERE workload = {workload:String} AND prediction_id IN {ids:Array(String)}
            SETTINGS optimize_move_to_prewhere_if_final = 1""",
            workload=workload,
            ids=ids,
        )
        return {
            str(row["prediction_id"]): (
                row["input"],
                {label: _share(value) for label, value in row["probabilities"].items()},
            )
            for row in rows
        }


def _share(single_precision: float) -> float:
    """Float32 keeps seven digits; the rest that it seems to have as a double is noise."""
    return round(single_precision, 7)
