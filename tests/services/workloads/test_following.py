"""A round is followed over HTTP to its end, whatever the end is."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from shared.clickhouse import ClickHouse
from shared.events import (
    CandidateEvaluated,
    CandidateTrained,
    Cluster,
    DatasetCounts,
    DatasetPublished,
    FailureClustersFound,
    FrozenFile,
    TrainingProgressed,
)
from tests.servers.model import ROOT
from tests.services.workloads.conftest import ADAPTER, NOON, WHO, Workloads, corrected, judged, minutes

EXAMPLE = ROOT / "shared" / "contracts" / "examples" / "candidate-evaluated-v1" / "first.json"
FILE = FrozenFile(uri="x", digest="sha256:" + "b" * 64, rows=7)


def milestones(cycle_id: str) -> list[Any]:
    """Everything that happens in a cycle before its verdict."""
    dataset_id, of_run = DatasetPublished.id_of_cycle("tickets", cycle_id), {"workload": "tickets"}
    return [
        FailureClustersFound(
            cycle_id=cycle_id,
            workload="tickets",
            cutoff=NOON,
            clusters=[Cluster(cluster_id="c", name="n", size=5, answer="a", right_answer="b")],
            failures=FILE,
            corrections=FILE,
            found_at=NOON,
        ),
        DatasetPublished(
            dataset_id=dataset_id,
            workload="tickets",
            version=2,
            cycle_id=cycle_id,
            cutoff=NOON,
            train=FILE,
            golden=FILE,
            held_out=FILE,
            manifest=FILE,
            counts=DatasetCounts(),
            published_at=NOON,
        ),
        CandidateTrained(
            run_id="r",
            dataset_id=dataset_id,
            cycle_id=cycle_id,
            cutoff=NOON,
            candidate=ADAPTER,
            method="lora",
            steps=10,
            train_rows=7,
            final_loss=0.1,
            seconds=3,
            trained_at=NOON,
            **of_run,
        ),
        evaluated(cycle_id),
    ]


def evaluated(cycle_id: str) -> CandidateEvaluated:
    event = CandidateEvaluated.model_validate_json(EXAMPLE.read_text())
    return event.model_copy(
        update={
            "run_id": "r",
            "workload": "tickets",
            "cycle_id": cycle_id,
            "dataset_id": DatasetPublished.id_of_cycle("tickets", cycle_id),
            "champion": "tickets-v1",
        }
    )


def progressed(done: int, seconds: float) -> TrainingProgressed:
    return TrainingProgressed(
        run_id="r",
        workload="tickets",
        phase="training",
        done=done,
        total=10,
        loss=0.5,
        progressed_at=NOON + timedelta(seconds=seconds),
    )


async def cycle(workloads: Workloads) -> str:
    await workloads.add_and_promote()
    await workloads.apply(corrected("a", "refund"))
    return str((await workloads.cycle()).json()["cycle_id"])


async def state(workloads: Workloads, round_id: str, query: str = "") -> dict[str, Any]:
    answer = await workloads.client.get(f"/workloads/tickets/rounds/{round_id}{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_cycle_goes_from_stage_to_stage_and_ends_with_its_verdict(workloads: Workloads) -> None:
    cycle_id = await cycle(workloads)
    first = await state(workloads, cycle_id)
    assert (first["kind"], first["stage"], first["is_over"], first["outcome"]) == (
        "cycle",
        "failures",
        False,
        None,
    )
    seen = []
    for event in milestones(cycle_id):
        await workloads.apply(event)
        now = await state(workloads, cycle_id)
        assert now["version"] > first["version"]
        seen.append(now["stage"])
    assert seen == ["dataset", "training", "evaluation", "shadow"]
    await workloads.apply(judged(cycle_id))
    over = await state(workloads, cycle_id)
    assert (over["stage"], over["is_over"]) == ("promotion", True)
    assert (over["outcome"], over["reason"]) == ("promoted", "It is better.")


async def test_events_in_another_order_lead_to_the_same_end(workloads: Workloads) -> None:
    cycle_id = await cycle(workloads)
    await workloads.apply(judged(cycle_id), *reversed(milestones(cycle_id)))
    assert (await state(workloads, cycle_id))["outcome"] == "promoted"


async def test_training_says_how_far_it_is_and_how_long_the_rest_takes(workloads: Workloads) -> None:
    cycle_id = await cycle(workloads)
    await workloads.apply(*milestones(cycle_id)[:2], progressed(0, 0), progressed(4, 8))
    now = await state(workloads, cycle_id)
    assert (now["stage"], now["done"], now["total"], now["seconds_left"]) == ("training", 4, 10, 12)
    assert now["sentence"] == "training, step 4 of 10, loss 0.50"
    await workloads.apply(progressed(2, 4))  # consumed again
    assert (await state(workloads, cycle_id))["done"] == 4


async def test_who_knows_the_newest_version_is_answered_when_it_changes(workloads: Workloads) -> None:
    cycle_id = await cycle(workloads)
    version = (await state(workloads, cycle_id))["version"]
    workloads.time = minutes(61)
    waiting = asyncio.ensure_future(state(workloads, cycle_id, f"?after={version}&wait=25"))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await workloads.apply(milestones(cycle_id)[0])
    assert (await asyncio.wait_for(waiting, 5))["stage"] == "dataset"


async def test_who_waits_in_vain_is_told_that_nothing_changed(workloads: Workloads) -> None:
    cycle_id = await cycle(workloads)
    before = await state(workloads, cycle_id)
    began = time.monotonic()
    assert await state(workloads, cycle_id, f"?after={before['version']}&wait=0.3") == before
    assert time.monotonic() - began < 5


async def test_a_round_survives_a_restart(workloads: Workloads) -> None:
    cycle_id = await cycle(workloads)
    await workloads.apply(*milestones(cycle_id)[:3])
    await workloads.kill()
    await workloads.start()
    assert (await state(workloads, cycle_id))["stage"] == "evaluation"


async def test_a_shadow_says_that_it_waits_for_reviews(workloads: Workloads, clickhouse: ClickHouse) -> None:
    cycle_id = await cycle(workloads)
    await workloads.apply(*milestones(cycle_id))
    pair = {"run_id": "r", "workload": "tickets", "differs": 1}
    reviewed = [pair | {"prediction_id": f"p{number}", "right_answer": "card"} for number in range(3)]
    waiting = [pair | {"prediction_id": f"q{number}", "right_answer": ""} for number in range(12)]
    await clickhouse.insert("pairs_v1", reviewed + waiting)
    assert "12 pairs differ and wait for review" in (await state(workloads, cycle_id))["sentence"]


async def waits(clickhouse: ClickHouse, why: str) -> None:
    row = {"workload": "tickets", "run_id": "r", "since": NOON, "why": why}
    await clickhouse.command("TRUNCATE TABLE shadow_waits_v1")
    await clickhouse.insert("shadow_waits_v1", [row] if why else [])


async def test_a_candidate_that_waits_for_the_model_server_says_so_wherever_people_look(
    workloads: Workloads, clickhouse: ClickHouse
) -> None:
    cycle_id = await cycle(workloads)
    await workloads.apply(*milestones(cycle_id))
    run = {"run_id": "r", "workload": "tickets", "state": "evaluated", "dataset_id": "d", "changed_at": NOON}
    await clickhouse.insert("runs_v1", [run])

    async def shown() -> list[dict[str, Any]]:
        status = (await workloads.client.get("/workloads/tickets/status")).json()
        (listed,) = (await workloads.client.get("/runs?workload=tickets")).json()
        return [await state(workloads, cycle_id), status["round"], listed]

    version = (await state(workloads, cycle_id))["version"]
    following = asyncio.create_task(state(workloads, cycle_id, f"?after={version}&wait=20"))
    await waits(clickhouse, "it serves another base model.")
    told = await following
    for one in (told, *await shown()):
        assert one["sentence"] == "waits: it serves another base model."
        assert datetime.fromisoformat(one["waits_since"]) == NOON
    following = asyncio.create_task(state(workloads, cycle_id, f"?after={told['version']}&wait=20"))
    await waits(clickhouse, "")
    for one in (await following, *await shown()):
        assert one["waits_since"] is None
        assert "waits: " not in one["sentence"]


async def test_an_evaluation_that_waits_for_the_model_server_says_so_until_it_goes_on(
    workloads: Workloads,
) -> None:
    cycle_id = await cycle(workloads)
    going = progressed(4, 8).model_copy(update={"phase": "evaluation"})
    standing = {"waits_since": NOON, "waits_for": "it is down.", "progressed_at": NOON + timedelta(seconds=9)}
    await workloads.apply(*milestones(cycle_id)[:3], going, going.model_copy(update=standing))
    now = await state(workloads, cycle_id)
    assert (now["sentence"], now["seconds_left"]) == ("waits: it is down.", None)
    assert datetime.fromisoformat(now["waits_since"]) == NOON
    await workloads.apply(progressed(5, 12).model_copy(update={"phase": "evaluation"}))
    now = await state(workloads, cycle_id)
    assert (now["waits_since"], now["done"]) == (None, 5)


async def test_a_round_that_began_under_an_earlier_version_is_followed_too(workloads: Workloads) -> None:
    await workloads.add_and_promote()
    await workloads.apply(corrected("a", "refund"), *milestones("of-0.1")[2:])
    assert (await state(workloads, "of-0.1"))["stage"] == "shadow"
    assert (await workloads.cycle()).json()["cycle_id"] == "of-0.1"


async def test_a_list_says_where_each_workload_stands(workloads: Workloads, clickhouse: ClickHouse) -> None:
    await workloads.add()
    (listed,) = (await workloads.client.get("/workloads")).json()
    assert (listed["champion"], listed["accuracy"], listed["stage"]) == (None, None, "dataset")
    since = minutes(0)
    champion = {
        "workload": "tickets",
        "revision": 1,
        "adapter": "tickets-v1",
        "kind": "promoted",
        "since": since,
    }
    await clickhouse.insert("champions_v1", [champion])
    card = evaluated("c").scorecard
    await clickhouse.insert(
        "scorecards_v1",
        [{"workload": "tickets", "candidate": "tickets-v1", "scorecard": card.model_dump_json()}],
    )
    (listed,) = (await workloads.client.get("/workloads")).json()
    assert (listed["champion"], listed["accuracy"]["n"]) == ("tickets-v1", card.held_out.n)
    status = (await workloads.client.get("/workloads/tickets/status")).json()
    assert (status["predictions"], status["open_reviews"], status["last_cycle"]) == (0, 0, None)
    assert status["round"]["kind"] == "revision"


async def test_a_rollback_needs_an_earlier_champion(workloads: Workloads, clickhouse: ClickHouse) -> None:
    await workloads.add()
    assert (await workloads.client.post("/workloads/tickets/rollback", json=WHO)).status_code == 409
    await clickhouse.insert("champions_v1", [moved(1, "v1"), moved(2, "v2")])
    answer = await workloads.client.post("/workloads/tickets/rollback", json=WHO)
    assert answer.status_code == 202
    assert workloads.published[-1].event_id
    assert answer.json()["request_id"] == workloads.published[-1].request_id  # type: ignore[attr-defined]


async def test_what_was_rolled_back_can_be_rolled_back_further_to_the_first_champion(
    workloads: Workloads, clickhouse: ClickHouse
) -> None:
    await workloads.add()
    path = "/workloads/tickets/rollback"
    moves = [moved(1, "v1"), moved(2, "v2"), moved(3, "v3"), moved(4, "v2", "rolled back")]
    await clickhouse.insert("champions_v1", moves)
    assert (await workloads.client.post(path, json=WHO)).status_code == 202
    await clickhouse.insert("champions_v1", [moved(5, "v1", "rolled back")])
    answer = await workloads.client.post(path, json=WHO)
    assert (answer.status_code, "no earlier champion" in answer.json()["detail"]) == (409, True)


def moved(revision: int, adapter: str, kind: str = "promoted") -> dict[str, object]:
    return {"workload": "tickets", "revision": revision, "adapter": adapter, "kind": kind}


async def test_a_replica_that_does_not_decide_shows_a_round_as_the_other_has_it(workloads: Workloads) -> None:
    added = await workloads.add()
    other = Workloads(lambda service: replace(workloads.context_of(service), owns=lambda _: False))
    await other.start()
    path = f"/workloads/tickets/rounds/{added['round_id']}"
    before = (await other.client.get(path)).json()
    following = asyncio.create_task(other.client.get(f"{path}?after={before['version']}&wait=20"))
    await workloads.apply(judged(added["round_id"], cycle=False))
    assert (await other.client.get("/workloads/tickets/status")).json()["round"]["outcome"] == "promoted"
    assert (await other.client.get("/workloads")).json()[0]["stage"] == "at rest"
    assert (await following).json()["outcome"] == "promoted"
    await other.kill()
