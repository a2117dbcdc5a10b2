"""Stored once, flagged for good reasons, whatever comes twice or in the other order. On real tables."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.clickhouse import ClickHouse
from shared.events import PredictionFlagged, Thumb, Writer
from shared.migrations import migrate
from tests.services.prediction_logging.conftest import NOON, Logging, feedback, logged, workload_added


async def test_the_view_shows_a_prediction_as_it_was_logged(logging: Logging, clickhouse: ClickHouse) -> None:
    await logging.apply(logged("p-1"))
    [row] = await clickhouse.rows("SELECT * FROM predictions_v1")
    assert list(row) == [
        "prediction_id", "predicted_at", "workload", "adapter", "input", "answer", "confidence",
        "probabilities", "latency_ms", "tokens_in", "attributes", "subject_id", "group_id",
        "written_by", "said_model",
    ]  # fmt: skip
    assert (row["prediction_id"], row["input"], row["answer"]) == ("p-1", "Where is my money?", "refund")
    assert row["predicted_at"].replace(tzinfo=NOON.tzinfo) == NOON
    assert row["probabilities"] == pytest.approx({"refund": 0.9, "other": 0.1})
    assert row["attributes"] == {"customer": "42"}


async def test_only_what_the_gateway_wrote_is_an_adapter_s(logging: Logging, clickhouse: ClickHouse) -> None:
    await logging.apply(
        logged("p-1", confidence=0.3),
        logged("p-2", confidence=0.3, written_by=Writer.APP),
        logged("p-3", confidence=0.3, written_by=None),
    )
    await logging.apply(feedback("p-2"))
    rows = await clickhouse.rows(
        "SELECT adapter, written_by, said_model FROM predictions_v1 ORDER BY prediction_id"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("tickets-1", "gateway", "tickets-1"),
        ("", "app", "tickets-1"),
        ("", "", "tickets-1"),
    ]
    arrived = await clickhouse.rows("SELECT prediction_id FROM arrivals_v1 WHERE adapter = 'tickets-1'")
    assert arrived == [{"prediction_id": "p-1"}]
    flags = [event for event in logging.published if isinstance(event, PredictionFlagged)]
    assert [(flag.prediction_id, flag.adapter) for flag in flags] == [
        ("p-1", "tickets-1"),
        ("p-2", ""),
        ("p-3", ""),
        ("p-2", ""),
    ]


async def test_whom_an_event_is_about_is_kept_with_it(logging: Logging, clickhouse: ClickHouse) -> None:
    about = {"subject_id": "s-1", "group_id": "thread-9"}
    await logging.apply(logged("p-1", **about), logged("p-2"))
    await logging.apply(feedback("p-1", Thumb.UP, **about), feedback("p-2", Thumb.UP))
    for view in ("predictions_v1", "feedback_v1"):
        rows = await clickhouse.rows(f"SELECT subject_id, group_id FROM {view} ORDER BY prediction_id")
        assert rows == [about, {"subject_id": "", "group_id": ""}], view


async def test_a_batch_that_comes_again_with_other_borders_counts_once(
    logging: Logging, clickhouse: ClickHouse
) -> None:
    events = [logged(f"p-{number}") for number in range(30)]
    await logging.apply(*events[:20], offset=0)
    await logging.apply(*events[:20], offset=0)
    await logging.apply(*events[10:], offset=10)
    [row] = await clickhouse.rows("SELECT count() AS n, uniqExact(prediction_id) AS ids FROM predictions_v1")
    assert (row["n"], row["ids"]) == (30, 30)


async def test_a_topic_that_counts_from_zero_again_loses_nothing(
    logging: Logging, clickhouse: ClickHouse
) -> None:
    await logging.apply(logged("p-old"), offset=0)
    await logging.apply(logged("p-new"), offset=0)
    [row] = await clickhouse.rows("SELECT count() AS n FROM predictions_v1")
    assert row["n"] == 2


async def test_an_answer_is_judged_by_the_labels_of_the_revision_it_was_made_under(logging: Logging) -> None:
    await logging.apply(workload_added(labels=("refund", "praise"), revision=2))
    invalid = await logging.apply(
        logged("p-1", revision=1, answer="outage", probabilities={}),
        logged("p-2", revision=2, answer="outage", probabilities={}),
        logged("p-3", revision=2, answer="praise", probabilities={}),
        logged("p-4", answer="outage", probabilities={}),
    )
    assert [one.consumed.event.prediction_id for one in invalid] == ["p-2"]


async def test_a_prediction_sent_again_with_another_time_counts_once(
    logging: Logging, clickhouse: ClickHouse
) -> None:
    await logging.apply(logged("p-1"))
    await logging.apply(logged("p-1", predicted_at=NOON + timedelta(days=40)))
    [row] = await clickhouse.rows("SELECT count() AS n FROM predictions_v1")
    assert row["n"] == 1


async def test_only_doubted_predictions_are_flagged_when_nothing_else_is_wrong(logging: Logging) -> None:
    await logging.apply(logged("p-sure"), logged("p-unsure", confidence=0.3))
    assert logging.flags() == [("p-unsure", "doubted")]


async def test_the_audit_flags_by_the_workloads_share(logging: Logging) -> None:
    await logging.apply(workload_added("mail", audit_share=1.0))
    await logging.apply(logged("p-1"), logged("p-2", workload="mail"))
    assert logging.flags() == [("p-2", "audit")]


@pytest.mark.parametrize("feedback_first", [True, False])
async def test_a_disliked_prediction_is_flagged_in_either_order(
    logging: Logging, feedback_first: bool
) -> None:
    events = [logged("p-1"), feedback("p-1")]
    for event in reversed(events) if feedback_first else events:
        await logging.apply(event)
    assert logging.flags() == [("p-1", "disliked")]


async def test_liked_predictions_and_those_of_another_workload_are_not_flagged(logging: Logging) -> None:
    await logging.apply(workload_added("mail"))
    await logging.apply(
        feedback("p-1", Thumb.UP),
        feedback("p-2", workload="mail"),
        feedback("p-3", None, score=0.5),
        feedback("p-4", None, comment="hm"),
    )
    await logging.apply(*(logged(f"p-{number}") for number in range(1, 5)))
    assert logging.flags() == []


async def test_a_flag_published_again_is_the_same_event_and_one_row(
    logging: Logging, clickhouse: ClickHouse
) -> None:
    await logging.apply(logged("p-1", confidence=0.3), offset=0)
    await logging.apply(logged("p-1", confidence=0.3), offset=0)
    assert len({event.event_id for event in logging.published}) == 1
    [row] = await clickhouse.rows("SELECT * FROM flags_v1")
    assert (row["prediction_id"], row["workload"], row["reason"]) == ("p-1", "tickets", "doubted")


async def test_what_does_not_fit_its_workload_is_set_aside_and_the_rest_is_stored(
    logging: Logging, clickhouse: ClickHouse
) -> None:
    invalid = await logging.apply(
        logged("p-1"), logged("p-2", probabilities={"no label": 0.9}), logged("p-3", answer="no label")
    )
    assert [one.consumed.event.prediction_id for one in invalid] == ["p-2", "p-3"]
    assert [row["prediction_id"] for row in await clickhouse.rows("SELECT * FROM predictions_v1")] == ["p-1"]


async def test_what_was_set_aside_once_is_stored_when_its_workload_has_the_label(
    logging: Logging, clickhouse: ClickHouse
) -> None:
    events = [logged("p-1"), logged("p-2", answer="praise")]
    await logging.apply(*events, offset=0)
    await logging.apply(workload_added(labels=("refund", "outage", "other", "praise"), revision=2))
    await logging.apply(*events, offset=0)
    [row] = await clickhouse.rows("SELECT count() AS n FROM predictions_v1")
    assert row["n"] == 2


async def test_feedback_is_kept_before_its_prediction_is_there(
    logging: Logging, clickhouse: ClickHouse
) -> None:
    await logging.apply(feedback("p-late", score=0.25, comment="wrong"), feedback("p-2", Thumb.UP))
    rows = await clickhouse.rows("SELECT * FROM feedback_v1 ORDER BY feedback_id")
    assert [(row["thumb"], row["score"], row["comment"]) for row in rows] == [
        ("up", None, ""),
        ("down", 0.25, "wrong"),
    ]
    assert list(rows[0]) == [
        "feedback_id", "prediction_id", "workload", "thumb", "score", "comment", "given_at",
        "subject_id", "group_id",
    ]  # fmt: skip


async def test_many_predictions_with_feedback_are_flagged_in_one_batch(logging: Logging) -> None:
    ids = [f"{'p' * 100}-{number}" for number in range(1200)]
    await logging.apply(*(feedback(name, feedback_id=f"f-{number}") for number, name in enumerate(ids)))
    await logging.apply(*(logged(name) for name in ids))
    assert len(logging.flags()) == 1200


async def test_migrating_again_keeps_what_is_stored(logging: Logging, clickhouse: ClickHouse) -> None:
    await logging.apply(logged("p-1"))
    await migrate(clickhouse, "prediction_logging")
    assert len(await clickhouse.rows("SELECT * FROM predictions_v1")) == 1


async def test_a_look_back_in_time_skips_what_lies_outside(logging: Logging, clickhouse: ClickHouse) -> None:
    sql = "EXPLAIN indexes = 1 SELECT count() FROM predictions_v1 WHERE predicted_at > {since:DateTime64(3)}"
    await logging.apply(logged("p-1"))
    plan = "\n".join(row["explain"] for row in await clickhouse.rows(sql, since=NOON))
    assert "by_time" in plan
