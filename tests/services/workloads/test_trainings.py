"""Trainings that are asked for over HTTP: refused at once with what to do, or published and followed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from shared.clickhouse import ClickHouse
from shared.events import (
    CandidateEvaluated,
    CandidateTrained,
    DatasetPublished,
    FrozenAdapter,
    RunCancelRequested,
    TrainingFailed,
    TrainingProgressed,
    TrainingRequested,
    Verdict,
)
from shared.workload import Training
from tests.servers.model import MODEL
from tests.services.console.examples import frozen, scorecard
from tests.services.workloads.conftest import ADAPTER, NOON, WHO, Workloads, body, corrected, judged

FIRST = DatasetPublished.id_of_revision("tickets", 1)


async def dataset(clickhouse: ClickHouse, version: int, dataset_id: str) -> None:
    row = {"dataset_id": dataset_id, "workload": "tickets", "version": version, "published_at": NOON}
    await clickhouse.insert("datasets_v1", [row])


async def run_row(clickhouse: ClickHouse, run_id: str, state: str, **more: Any) -> None:
    row = {"run_id": run_id, "workload": "tickets", "dataset_id": FIRST, "state": state, "changed_at": NOON}
    await clickhouse.insert("runs_v1", [row | more])


async def adapter_row(clickhouse: ClickHouse, adapter: FrozenAdapter, run_id: str, **more: Any) -> None:
    row = adapter.model_dump() | {"workload": "tickets", "run_id": run_id, "method": "lora"}
    row |= {"dataset_id": FIRST, "train_rows": 40, "trained_at": NOON}
    await clickhouse.insert("adapters_v1", [row | more])


async def train(workloads: Workloads, **wanted: Any) -> httpx.Response:
    return await workloads.client.post("/workloads/tickets/trainings", json=WHO | wanted)


async def cancel(workloads: Workloads, run_id: str) -> httpx.Response:
    return await workloads.client.post(f"/runs/{run_id}/cancel", json=WHO)


async def published(workloads: Workloads) -> list[TrainingRequested]:
    await workloads.publish_all()
    return [event for event in workloads.published if isinstance(event, TrainingRequested)]


async def ready(workloads: Workloads, clickhouse: ClickHouse) -> None:
    """A champion answers, and two dataset versions are there."""
    await workloads.add_and_promote()
    await dataset(clickhouse, 1, FIRST)
    await dataset(clickhouse, 2, "d2")


def of_run(run_id: str) -> dict[str, Any]:
    return {"run_id": run_id, "workload": "tickets", "dataset_id": "d2", "cycle_id": None}


async def test_a_training_is_of_the_newest_dataset_and_by_the_definition_where_nothing_else_is_said(
    workloads: Workloads, clickhouse: ClickHouse
) -> None:
    await ready(workloads, clickhouse)
    answer = await train(workloads, training={"learning_rate": 1e-4})
    assert answer.status_code == 202, answer.text
    (event,) = await published(workloads)
    assert (event.dataset_id, event.revision, event.requested_by) == ("d2", 1, "ada")
    assert event.training == Training(lora_r=4, max_steps=10, learning_rate=1e-4)
    said = answer.json()
    assert (said["run_id"], said["round_id"]) == (event.run_id, event.request_id)

    older = await train(workloads, dataset_version=1)
    assert older.status_code == 202, older.text
    assert [one.dataset_id for one in await published(workloads)] == ["d2", FIRST]


async def test_what_cannot_be_is_refused_at_once_with_what_to_do(
    workloads: Workloads, clickhouse: ClickHouse
) -> None:
    await workloads.add_and_promote()
    nothing_yet = await train(workloads)
    assert nothing_yet.status_code == 409
    assert "tuneloop workload follow tickets" in nothing_yet.json()["detail"]
    await dataset(clickhouse, 1, FIRST)
    await clickhouse.insert("training_limits_v1", [{"lora_rank": 64}])
    for wanted, status, said in (
        ({"training": {"method": "dora"}}, 422, "'lora'"),
        ({"training": {"lora_r": 128}}, 422, "128 is more than the model server loads (64)"),
        ({"training": {"lora_q": 8}}, 422, "is not a setting"),
        ({"training": {"method": "fusion"}}, 422, "two adapters or more"),
        ({"dataset_version": 9}, 409, "no dataset v9"),
    ):
        refused = await train(workloads, **wanted)
        assert refused.status_code == status, refused.text
        assert said in refused.json()["detail"]
    unknown = await workloads.client.post("/workloads/none/trainings", json=WHO)
    assert unknown.status_code == 404
    await workloads.client.post("/workloads/tickets/retire", json=WHO)
    retired = await train(workloads)
    assert retired.status_code == 409
    assert "retired" in retired.json()["detail"]
    assert await published(workloads) == []


async def test_the_same_key_is_the_same_training_and_the_same_training_is_refused(
    workloads: Workloads, clickhouse: ClickHouse
) -> None:
    await ready(workloads, clickhouse)
    first = await train(workloads, training={"seed": 2}, idempotency_key="k1")
    again = await train(workloads, training={"seed": 2}, idempotency_key="k1")
    assert first.json() == again.json()
    twin = await train(workloads, training={"seed": 2}, idempotency_key="k2")
    assert twin.status_code == 409
    assert twin.json()["run_id"] == first.json()["run_id"]
    assert "change a setting, such as seed" in twin.json()["detail"]
    assert len(await published(workloads)) == 1

    failed = TrainingFailed(**of_run(first.json()["run_id"]), reason="cancelled by ada", failed_at=NOON)
    await workloads.apply(failed)
    assert (await train(workloads, training={"seed": 2}, idempotency_key="k3")).status_code == 202


async def trained_by_itself(workloads: Workloads, clickhouse: ClickHouse) -> None:
    """A first dataset with the run that followed it, by the definition's settings."""
    await workloads.add_and_promote()
    await dataset(clickhouse, 1, FIRST)
    as_defined = Training(lora_r=4, max_steps=10).model_dump_json(exclude_none=True)
    await run_row(clickhouse, DatasetPublished.run_of(FIRST), "evaluated", training=as_defined)


async def test_the_run_that_followed_the_dataset_by_itself_is_a_twin_too(
    workloads: Workloads, clickhouse: ClickHouse
) -> None:
    await trained_by_itself(workloads, clickhouse)
    assert (await train(workloads)).status_code == 409
    assert (await train(workloads, training={"seed": 7})).status_code == 202


async def test_the_same_settings_by_another_prompt_are_another_training(
    workloads: Workloads, clickhouse: ClickHouse
) -> None:
    await trained_by_itself(workloads, clickhouse)

    async def again(key: str) -> list[int]:
        """What both trainings are answered: that of the dataset's own run, and another."""
        wanted: list[dict[str, Any]] = [{}, {"seed": 7}]
        answers = [
            await train(workloads, training=one, idempotency_key=f"{key}-{n}") for n, one in enumerate(wanted)
        ]
        return [answer.status_code for answer in answers]

    assert await again("first") == [409, 202]
    await workloads.add(body({"review": {"audit_share": 0.1}}))
    assert await again("reviewed otherwise") == [409, 409]
    await workloads.add(body({"prompt": "{text}\nAbout:"}))
    assert await again("asked otherwise") == [202, 202]
    assert [one.revision for one in await published(workloads)] == [1, 3, 3]


async def test_a_training_that_was_stored_before_a_kill_is_published_after_it(
    workloads: Workloads, clickhouse: ClickHouse
) -> None:
    await ready(workloads, clickhouse)
    accepted = (await train(workloads)).json()
    await workloads.kill()
    await workloads.start()
    (event,) = await published(workloads)
    assert event.run_id == accepted["run_id"]
    assert [one.run_id for one in await published(workloads)] == [event.run_id]


async def test_a_training_is_followed_as_a_round_of_its_own_beside_its_datasets(
    workloads: Workloads, clickhouse: ClickHouse
) -> None:
    await ready(workloads, clickhouse)
    accepted = (await train(workloads)).json()
    run_id, url = accepted["run_id"], f"/workloads/tickets/rounds/{accepted['round_id']}"

    async def state() -> dict[str, Any]:
        found: dict[str, Any] = (await workloads.client.get(url)).json()
        return found

    began = await state()
    assert (began["kind"], began["stage"], began["is_over"]) == ("training", "training", False)
    await workloads.apply(
        TrainingProgressed(
            run_id=run_id, workload="tickets", phase="training", done=5, total=20, loss=0.5,
            seconds_left=30.5, progressed_at=NOON,
        )
    )  # fmt: skip
    under_way = await state()
    assert (under_way["done"], under_way["total"], under_way["seconds_left"]) == (5, 20, 30.5)
    run = of_run(run_id) | {"cutoff": NOON, "candidate": ADAPTER}
    await workloads.apply(
        CandidateTrained(
            **run, method="lora", steps=20, train_rows=60, final_loss=0.6, seconds=90, trained_at=NOON
        ),
        CandidateEvaluated(
            **run, champion="old", scorecard=scorecard(247, 239), answers=frozen(30), seconds=52,
            evaluated_at=NOON,
        ),
    )  # fmt: skip
    assert (await state())["stage"] == "shadow"
    await workloads.apply(corrected("p", "refund"))
    busy = await workloads.cycle()
    assert busy.status_code == 409
    assert "A training that was asked for is undecided" in busy.json()["detail"]
    verdict = judged("d2", Verdict.HOLD, cycle=False).model_copy(update={"run_id": run_id})
    await workloads.apply(verdict)
    assert (await state())["outcome"] == "held"
    assert (await workloads.cycle()).status_code == 201


async def test_a_run_is_cancelled_by_the_beginning_of_its_id_until_it_is_over(
    workloads: Workloads, clickhouse: ClickHouse
) -> None:
    await ready(workloads, clickhouse)
    run_id = (await train(workloads)).json()["run_id"]
    accepted = await cancel(workloads, run_id[:8])
    assert accepted.status_code == 202, accepted.text
    (event,) = [one for one in workloads.published if isinstance(one, RunCancelRequested)]
    assert (event.run_id, event.workload, event.requested_by) == (run_id, "tickets", "ada")

    await run_row(clickhouse, "over-1", "failed", reason="cancelled by ada: a test")
    await run_row(clickhouse, "over-2", "training")
    over = await cancel(workloads, "over-1")
    assert over.status_code == 409
    assert "nothing is left to cancel" in over.json()["detail"]
    several, none = await cancel(workloads, "over"), await cancel(workloads, "none")
    assert (several.status_code, none.status_code) == (409, 404)
    assert several.json()["detail"].startswith("2 runs have an id that begins with “over”. Type more of it")
    assert none.json()["detail"] == "No run has an id that begins with “none”."
    workloads.is_down = True
    assert (await cancel(workloads, "over-2")).status_code == 503


async def test_runs_are_listed_with_what_they_are_busy_with(
    workloads: Workloads, clickhouse: ClickHouse
) -> None:
    await ready(workloads, clickhouse)
    await run_row(
        clickhouse, "r1", "failed", reason="the loss is not a number", method="lora", plan='{"lora_r": 4}',
        warnings=["87 % of the rows were never seen"], rows_seen=640, train_rows=5000, eval_loss=0.25,
    )  # fmt: skip
    asked = (await train(workloads)).json()
    first, second = (await workloads.client.get("/runs?workload=tickets")).json()
    assert (first["run_id"], first["state"], first["dataset_version"]) == (asked["run_id"], "requested", 2)
    assert first["sentence"] == "training asked for; it waits for its turn"
    assert second["sentence"] == "the loss is not a number"
    assert (second["rows_seen"], second["eval_loss"], second["plan"]) == (640, 0.25, {"lora_r": 4})
    assert second["warnings"] == ["87 % of the rows were never seen"]
    assert (await workloads.client.get("/runs/r1")).json()["dataset_version"] == 1


async def test_a_run_of_long_ago_is_not_listed_as_one_that_is_only_asked_for(
    workloads: Workloads, clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ready(workloads, clickhouse)
    asked = (await train(workloads)).json()["run_id"]
    monkeypatch.setattr("services.workloads.run_overview.MOST", 1)
    await run_row(clickhouse, "newer", "evaluated", changed_at=NOON + timedelta(days=9))
    found = (await workloads.client.get("/runs?workload=tickets")).json()
    assert [one["run_id"] for one in found] == ["newer"]
    by_its_id = (await workloads.client.get(f"/runs/{asked}")).json()
    assert by_its_id["state"] == "requested"


def signed_adapter(workloads: Workloads, name: str) -> FrozenAdapter:
    folder = workloads.context.state_folder / "made"
    folder.mkdir()
    (folder / "model.sig").write_text("signed")
    return workloads.context.files.freeze_adapter(name, folder, MODEL)


async def test_an_adapter_that_came_without_a_contract_is_shown_as_the_copy_that_answers(
    workloads: Workloads, clickhouse: ClickHouse
) -> None:
    await ready(workloads, clickhouse)
    await adapter_row(clickhouse, ADAPTER, "r1")
    copy = signed_adapter(workloads, "copy").model_copy(update={"name": ADAPTER.name})
    row = {"workload": "tickets", "adapter": copy.name} | copy.model_dump(exclude={"name"})
    await clickhouse.insert("contracted_adapters_v1", [row, row | {"workload": "another", "uri": "x"}])
    [shown] = (await workloads.client.get("/adapters")).json()
    assert (shown["name"], shown["uri"], shown["digest"]) == (ADAPTER.name, copy.uri, copy.digest)
    assert (shown["is_signed"], shown["run_id"]) == (True, "r1")


async def test_a_fusion_takes_of_an_adapter_that_came_without_a_contract_the_copy_that_has_one(
    workloads: Workloads, clickhouse: ClickHouse
) -> None:
    await ready(workloads, clickhouse)
    second = signed_adapter(workloads, "tickets-v2")
    for adapter, run_id in ((ADAPTER, "r1"), (second, "r2")):
        await adapter_row(clickhouse, adapter, run_id)
    copy = ADAPTER.model_copy(update={"uri": "adapters/copy", "digest": second.digest})
    row = {"workload": "tickets", "adapter": copy.name} | copy.model_dump(exclude={"name"})
    await clickhouse.insert("contracted_adapters_v1", [row])
    wanted = {"training": {"method": "fusion"}, "adapters": [ADAPTER.name, second.name]}
    asked = await train(workloads, **wanted)
    assert asked.status_code == 202, asked.text
    (event,) = await published(workloads)
    assert event.adapters == [copy, second]


async def test_adapters_are_listed_with_what_became_of_them(
    workloads: Workloads, clickhouse: ClickHouse
) -> None:
    await ready(workloads, clickhouse)
    signed = signed_adapter(workloads, "tickets-v2")
    await adapter_row(clickhouse, ADAPTER, "r1")
    await adapter_row(clickhouse, signed, "r2", plan='{"lora_r": 8}', warnings=["few rows"], rows_seen=80)
    alias = {"workload": "tickets", "revision": 1, "adapter": signed.name, "kind": "promoted"}
    await clickhouse.insert("champions_v1", [alias | {"since": NOON}])
    found = {one["name"]: one for one in (await workloads.client.get("/adapters?workload=tickets")).json()}
    champion, other = found[signed.name], found[ADAPTER.name]
    assert (champion["state"], champion["is_signed"], champion["lora_r"]) == ("champion", True, 8)
    assert (champion["dataset_version"], champion["rows_seen"]) == (1, 80)
    assert (other["state"], other["is_signed"], other["lora_r"]) == ("candidate", False, None)
    assert (await workloads.client.get("/adapters/tickets-v2")).json() == champion
    assert (await workloads.client.get("/adapters/tickets-v")).status_code == 409
    assert (await workloads.client.get("/adapters/none")).status_code == 404
