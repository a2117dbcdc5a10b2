"""What arrived is counted once and conflicts are found, slice by slice, whatever repeats or dies between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.prediction_logging.audit import Audit, OpenRows
from services.prediction_logging.audit_slices import (
    MOST_ROWS,
    NS_PER_MINUTE,
    SETTLED_NS,
    seconds_until_due,
    slices,
)
from services.prediction_logging.audit_store import AuditStore
from services.prediction_logging.conflict_letters import Conflict, conflict_letter
from shared.clickhouse import ClickHouse
from shared.migrations import migrate
from tests.services.prediction_logging.conftest import feedback, logged, workload_added
from tests.services.prediction_logging.process import Process


@dataclass
class Audited:
    """A process, its audit, and the conflicts that were set aside."""

    process: Process
    conflicts: list[Conflict] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.audit = Audit(
            AuditStore(self.process.clickhouse),
            self.process.store,
            self._set_aside,
            lambda: self.process.time,
            self.process.handlers.arrivals,
            self.process.metrics,
            OpenRows(),
            every_seconds=3600,
        )

    async def _set_aside(self, conflicts: Sequence[Conflict]) -> None:
        self.conflicts.extend(conflicts)

    async def an_hour_later(self) -> None:
        self.process.time += timedelta(hours=1)
        await self.audit.audit()

    async def counted(self) -> dict[str, int]:
        rows = await self.process.clickhouse.rows(
            "SELECT workload, sum(predictions) AS n FROM prediction_counts_v1 GROUP BY workload"
        )
        return {row["workload"]: row["n"] for row in rows}


@pytest.fixture
async def audited(clickhouse: ClickHouse) -> Audited:
    await migrate(clickhouse, "prediction_logging")
    audited = Audited(Process(clickhouse, datetime.now(UTC)))
    await audited.process.apply(workload_added("mail"))
    return audited


async def test_another_content_is_found_an_hour_later_and_named_by_its_place(audited: Audited) -> None:
    await audited.process.apply(logged("p-0"), logged("p-1", input="first"), offset=70)
    await audited.an_hour_later()
    await audited.process.apply(logged("p-1", input="second"), logged("p-0"), offset=90)
    await audited.an_hour_later()
    assert audited.conflicts == [Conflict("tickets", "p-1", 0, 90)]
    assert audited.process.shown("tuneloop_prediction_conflicts_total", workload="tickets") == 1
    await audited.an_hour_later()
    assert len(audited.conflicts) == 1


async def test_two_contents_under_one_id_in_two_workloads_are_no_conflict(audited: Audited) -> None:
    await audited.process.apply(logged("p-1", input="first"))
    await audited.process.apply(logged("p-1", input="second", workload="mail"))
    await audited.an_hour_later()
    assert audited.conflicts == []
    assert await audited.counted() == {"tickets": 1, "mail": 1}


async def test_each_prediction_counts_once_before_and_after_its_slice_is_closed(audited: Audited) -> None:
    events = [logged(f"p-{number}", predicted_at=audited.process.time) for number in range(20)]
    await audited.process.apply(*events[:15], offset=0)
    await audited.process.apply(*events[10:], offset=10)  # as after a rebalance
    assert await audited.counted() == {"tickets": 20}
    await audited.an_hour_later()
    assert await audited.counted() == {"tickets": 20}
    await audited.process.apply(*events[:5], logged("p-new"), offset=40)
    await audited.an_hour_later()
    assert await audited.counted() == {"tickets": 21}


async def test_what_is_not_settled_is_left_to_the_next_audit(audited: Audited) -> None:
    await audited.process.apply(logged("p-1"))
    await audited.audit.audit()
    until = await audited.audit.store.audited_until()
    assert until == audited.process.handlers.arrivals.latest - SETTLED_NS
    assert await audited.counted() == {"tickets": 1}


async def test_a_kill_before_the_watermark_moves_counts_nothing_twice(
    audited: Audited, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(until: int) -> None:
        raise RuntimeError("killed")

    await audited.process.apply(*(logged(f"p-{number}") for number in range(3)))
    with monkeypatch.context() as patched:
        patched.setattr(audited.audit.store, "keep_audited_until", killed)
        with pytest.raises(RuntimeError, match="killed"):
            await audited.an_hour_later()
    assert await audited.counted() == {"tickets": 3}
    await audited.process.apply(logged("p-3"))
    await audited.an_hour_later()
    assert await audited.counted() == {"tickets": 4}


async def test_two_that_audit_at_once_count_as_one(audited: Audited) -> None:
    await audited.process.apply(*(logged(f"p-{number}") for number in range(3)))
    store = audited.audit.store
    since = await store.audited_until()
    until = audited.process.handlers.arrivals.latest
    minutes = [(0, 1)]
    (early,), (late,) = (slices(since, end, minutes) for end in (until - 1, until + 1))
    await store.keep_counts(late)
    await store.keep_audited_until(late.until)
    await store.keep_counts(early)
    await store.keep_audited_until(early.until)
    assert await audited.counted() == {"tickets": 3}


async def test_feedback_whose_prediction_is_here_after_all_is_noted(
    audited: Audited, clickhouse: ClickHouse
) -> None:
    """As it is left by code of 0.2 that runs beside for a moment."""
    await audited.process.apply(feedback("p-1"))
    row = {"prediction_id": "p-1", "workload": "tickets", "predicted_at": audited.process.time}
    await clickhouse.insert("predictions", [row])
    await audited.an_hour_later()
    assert await audited.process.store.unmatched() == {}


def test_a_conflict_s_dead_letter_quotes_nothing_and_says_where_the_record_stands() -> None:
    conflict = Conflict("tickets", "p-1", 4, 90)
    letter = conflict_letter(conflict, datetime(2026, 11, 24, tzinfo=UTC))
    assert (letter.topic, letter.key, letter.value) == ("prediction-logged-v1-dead-letter", b"p-1", b"")
    assert letter.headers["dead_letter_reason"] == "prediction_id: another content came first"
    assert (letter.headers["dead_letter_partition"], letter.headers["dead_letter_offset"]) == ("4", "90")


@given(
    st.lists(
        st.tuples(st.integers(0, 500), st.integers(1, 900)), max_size=30, unique_by=lambda pair: pair[0]
    ),
    st.integers(0, 30_000 * 10**9),
    st.integers(-1, 30_000 * 10**9),
)
def test_slices_lie_end_to_end_and_hold_no_more_than_they_may(
    minutes: list[tuple[int, int]], since: int, length: int
) -> None:
    minutes, until = sorted(minutes), since + length
    cut = slices(since, until, minutes, most=1000)
    if length <= 0:
        assert cut == []
        return
    assert (cut[0].since, cut[-1].until) == (since, until)
    assert all(one.until == next_.since for one, next_ in pairwise(cut))
    for one in cut:
        inside = [n for minute, n in minutes if one.since < minute * NS_PER_MINUTE <= one.until]
        assert sum(inside) <= 1000 + max(inside, default=0)


def test_an_audit_is_due_after_its_time_or_when_much_arrived() -> None:
    hour = 3600.0
    now = 10**18
    assert seconds_until_due(now - SETTLED_NS, now, hour, 0) == hour
    assert seconds_until_due(now - SETTLED_NS, now + 3600 * 10**9, hour, 0) == 0
    assert seconds_until_due(now - SETTLED_NS, now, hour, MOST_ROWS) == 0
