"""The console's SQL against a real ClickHouse, on the columns that the views promise."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.console.cycle_status import Snapshot, stages
from services.console.ring import ring
from services.console.store import ConsoleStore
from services.console.templating import Render, make_render
from services.console.timeline import bucket_width
from services.console.views import TablesDoNotAnswer
from shared.clickhouse import ClickHouse
from shared.intervals import wilson
from tests.services.console import examples
from tests.services.console.examples import NOW, SECOND


@pytest.fixture
async def filled(clickhouse: ClickHouse) -> ConsoleStore:
    await examples.fill(clickhouse)
    return ConsoleStore(clickhouse)


async def test_a_database_without_any_view_reads_as_empty(clickhouse: ClickHouse) -> None:
    store = ConsoleStore(clickhouse)
    workload = examples.definition()
    assert stages(await store.snapshot(workload, "", None, NOW), None) == stages(Snapshot(workload), None)
    assert await store.predictions.span("tickets", NOW - timedelta(days=28)) is None


async def test_a_view_is_read_as_soon_as_its_owner_publishes_it(clickhouse: ClickHouse) -> None:
    store = ConsoleStore(clickhouse)
    assert (await store.cycles.agreement("tickets")).n == 0
    await examples.fill(clickhouse)
    assert await store.cycles.agreement("tickets") == wilson(56, 60)


async def test_a_filled_database_shows_its_second_cycle(filled: ConsoleStore) -> None:
    snapshot = await filled.snapshot(examples.definition(), SECOND, NOW, NOW)
    assert snapshot.champion_accuracy() == wilson(239, 300)
    assert [dataset.version for dataset in snapshot.datasets] == [3, 2, 1]
    assert [cluster.size for cluster in snapshot.clusters] == [41, 28, 9]
    assert [revision.adapter for revision in snapshot.revisions] == [examples.FIRST, SECOND]
    assert (snapshot.pairs[0].pairs, snapshot.pairs[0].differing) == (61, 16)
    assert snapshot.verdicts[0].evidence.e_value == 310


async def test_a_champion_that_is_lost_is_shown_with_what_to_do(
    filled: ConsoleStore, clickhouse: ClickHouse
) -> None:
    render = make_render(lambda: NOW)
    assert "! lost" not in await _first_page(filled, render)
    reason = "c-v2 is champion and is lost: it is gone. Train anew (tuneloop train tickets)."
    row = {"workload": "tickets", "adapter": SECOND, "reason": reason, "found_at": NOW}
    await clickhouse.insert("lost_champions_v1", [row, row | {"workload": "another", "reason": "x"}])
    page = await _first_page(filled, render)
    assert f"! lost</span> {reason}" in page


async def _first_page(store: ConsoleStore, render: Render) -> str:
    snapshot = await store.snapshot(examples.definition(), SECOND, NOW, NOW)
    said = stages(snapshot, None)
    return render(
        "loop.html",
        now=snapshot,
        accuracy=None,
        stages=said,
        ring=ring(said),
        signs={},
        links={},
        stage_words="",
    )


async def test_an_alias_that_moved_to_a_copy_of_the_same_adapter_is_no_change_of_champion(
    filled: ConsoleStore, clickhouse: ClickHouse
) -> None:
    rows = await clickhouse.rows("SELECT * FROM champions_v1 ORDER BY revision")
    await clickhouse.insert("champions_v1", [rows[-1] | {"revision": 3, "digest": "sha256:" + "1" * 64}])
    shown = [revision.adapter for revision in await filled.candidates.revisions("tickets")]
    assert shown == [examples.FIRST, SECOND]


async def test_every_time_is_in_utc(filled: ConsoleStore) -> None:
    snapshot = await filled.snapshot(examples.definition(), SECOND, NOW, NOW)
    assert snapshot.cycle is not None
    assert snapshot.cycle.cutoff == NOW - timedelta(hours=3)
    assert snapshot.traffic.last_at is not None
    assert snapshot.traffic.last_at.utcoffset() == timedelta(0)


async def test_traffic_counts_one_day(filled: ConsoleStore) -> None:
    traffic = await filled.predictions.traffic("tickets", NOW - timedelta(days=1), 0.6)
    assert traffic.predictions == 24 * 60 / 8.4 // 1
    assert 0 < traffic.doubted < traffic.predictions


async def test_another_workload_has_nothing_of_it(filled: ConsoleStore) -> None:
    other = examples.definition("other")
    assert stages(await filled.snapshot(other, "", None, NOW), None) == stages(Snapshot(other), None)


async def test_the_audit_counts_only_what_was_drawn_at_random(
    filled: ConsoleStore, clickhouse: ClickHouse
) -> None:
    audited = await filled.predictions.audited("tickets", SECOND)
    rows = await clickhouse.rows(
        "SELECT count() AS n FROM corrections_v1 WHERE adapter = {a:String}", a=SECOND
    )
    assert 0 < audited.n < rows[0]["n"]


async def test_buckets_hold_every_prediction_once(filled: ConsoleStore) -> None:
    span = await filled.predictions.span("tickets", NOW - timedelta(days=28))
    assert span is not None
    buckets = await filled.predictions.buckets("tickets", span[0], bucket_width(*span))
    assert sum(bucket.predictions for bucket in buckets) == 2400
    assert all(bucket.right <= bucket.audited for bucket in buckets)
    assert [bucket.start for bucket in buckets] == sorted(bucket.start for bucket in buckets)


async def test_a_refused_query_is_told_from_an_empty_view(clickhouse: ClickHouse) -> None:
    await clickhouse.command("CREATE TABLE agreement_v1 (wrong String) ENGINE = Memory")
    with pytest.raises(TablesDoNotAnswer):
        await ConsoleStore(clickhouse).cycles.agreement("tickets")
