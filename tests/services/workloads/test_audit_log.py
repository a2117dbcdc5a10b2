"""The audit log on real tables: rows chained once each, and whatever is done to them shows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.workloads.audit_log import AuditLog
from services.workloads.audit_store import AuditStore
from shared.access.audit_chain import Head, Link, Verification
from shared.access.roles import Verb
from shared.clickhouse import ClickHouse
from shared.consumer import Batch, ConsumerRecord
from shared.events import ActionAudited
from tests.services.workloads.conftest import Workloads, minutes

COPIED = "INSERT INTO audit_log SELECT partition, 5, action_id, action, hash FROM audit_log"


def action(number: int, principal: str = "p-1") -> ActionAudited:
    return ActionAudited(
        action_id=f"action-{number:04d}",
        principal=principal,
        verb=Verb.OPERATE,
        method="POST",
        path="/workloads/tickets/rollback",
        status=202,
        address="10.0.3.17",
        at=minutes(number),
    )


async def keep(workloads: Workloads, actions: Sequence[ActionAudited], partition: int = 0) -> None:
    handler = workloads.service.consumes[ActionAudited]
    assert isinstance(handler, Batch)
    await handler.handler(
        [ConsumerRecord(one, partition, offset) for offset, one in enumerate(actions)]  # any offsets
    )


async def broken(workloads: Workloads) -> list[str]:
    """What `tuneloop audit verify` finds, by HTTP as it does."""
    found = []
    for chain in (await workloads.client.get("/audit/chains")).json():
        verification = Verification(chain["partition"], [Head(chain["number"], chain["hash"])])
        rows = (await workloads.client.get(f"/audit/chains/{chain['partition']}")).json()
        breaks = (verification.breaks_at(Link(**row)) for row in rows)
        said = next(filter(None, breaks), None) or verification.ends()
        found += [said] if said else []  # the first of a chain
    return found


async def listed(workloads: Workloads, **query: str | int) -> list[str]:
    answer = await workloads.client.get("/audit", params=query)
    assert answer.status_code == 200, answer.text
    return [row["action_id"] for row in answer.json()]


async def test_what_was_done_is_listed_the_newest_first(workloads: Workloads) -> None:
    await keep(workloads, [action(1), action(3)])
    await keep(workloads, [action(2, "p-2"), action(4, "p-2")], partition=1)
    assert await listed(workloads) == ["action-0004", "action-0003", "action-0002", "action-0001"]
    assert await listed(workloads, limit=1, before="action-0003") == ["action-0002"]
    row = (await workloads.client.get("/audit", params={"limit": 1})).json()[0]
    assert (row["principal"], row["verb"], row["address"]) == ("p-2", "operate", "10.0.3.17")
    assert (row["partition"], row["number"]) == (1, 2)
    assert await broken(workloads) == []


async def test_what_comes_again_is_stored_once_whatever_batch_it_comes_in(workloads: Workloads) -> None:
    await keep(workloads, [action(1), action(2), action(2)])
    await keep(workloads, [action(1), action(2), action(3)])
    await workloads.kill()
    await workloads.start()
    await keep(workloads, [action(3), action(4)])
    assert await listed(workloads) == ["action-0004", "action-0003", "action-0002", "action-0001"]
    assert [row["number"] for row in (await workloads.client.get("/audit/chains/0")).json()] == [1, 2, 3, 4]
    assert await broken(workloads) == []


async def test_a_process_that_notes_less_goes_on_from_the_table(workloads: Workloads) -> None:
    """Another replica has the partition now."""
    await keep(workloads, [action(1), action(2)])
    (workloads.context.state_folder / "audit_heads.json").unlink()
    await workloads.kill()
    await workloads.start()
    await keep(workloads, [action(3)])
    assert await broken(workloads) == []


async def test_two_processes_that_store_the_same_at_a_hand_over_store_the_same_rows(
    workloads: Workloads, clickhouse: ClickHouse, tmp_path: Path
) -> None:
    batch = [ConsumerRecord(action(number), 0, number) for number in range(1, 20)]
    logs = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        logs.append(AuditLog(AuditStore(clickhouse), tmp_path / name))
    await asyncio.gather(logs[0].keep(batch), logs[1].keep(batch))
    await keep(workloads, [action(20)])
    assert len(await listed(workloads)) == 20
    assert await broken(workloads) == []


@pytest.mark.parametrize(
    ("tampered", "said"),
    [
        ("ALTER TABLE audit_log UPDATE action = replace(action, 'p-1', 'p-9') WHERE number = 2", "row 2, or"),
        ("ALTER TABLE audit_log DELETE WHERE number = 2", "row 2 is gone"),
        ("ALTER TABLE audit_log DELETE WHERE number = 1", "row 1 is gone"),
        ("ALTER TABLE audit_log DELETE WHERE number >= 3", "rows 3 to 4 are gone"),
        ("TRUNCATE TABLE audit_log", "rows 1 to 4 are gone"),
        (f"{COPIED} WHERE number = 4", "row 5, or"),
    ],
)
async def test_what_is_done_to_rows_shows(
    workloads: Workloads, clickhouse: ClickHouse, tampered: str, said: str
) -> None:
    await keep(workloads, [action(number) for number in range(1, 5)])
    await clickhouse.command(f"{tampered}{' SETTINGS mutations_sync = 2' if 'ALTER' in tampered else ''}")
    assert [one[: len(said)] for one in await broken(workloads)] == [said]
    await keep(workloads, [action(9)])
    assert len(await broken(workloads)) == 1, "what comes later hides nothing"


async def test_a_row_that_is_exported_can_be_verified_by_anybody(workloads: Workloads) -> None:
    await keep(workloads, [action(1)])
    [row] = (await workloads.client.get("/audit/chains/0")).json()
    said = json.loads(row["action"])
    assert json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False) == row["action"]
    assert "ada" not in row["action"], "people are opaque ids"
