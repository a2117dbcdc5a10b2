"""What the command line asks the console, and what the console says for it."""

from __future__ import annotations

from shared.clickhouse import ClickHouse
from shared.events import CycleRequested, RollbackRequested
from shared.flow import FLOW
from tests.services.console import examples
from tests.services.console.conftest import Console
from tests.services.console.examples import FIRST, NOW, SECOND

WISH = {"requested_by": "ada", "reason": "enough corrections"}


async def test_it_consumes_what_the_flow_says(console: Console) -> None:
    assert set(console.service.consumes) == FLOW["console"].consumes
    assert console.service.consumes_from_now


async def test_no_workload_is_an_empty_list(console: Console) -> None:
    assert (await console.http.get("/workloads")).json() == []


async def test_a_new_workload_has_no_champion_and_makes_its_dataset(console: Console) -> None:
    await console.consume(examples.workload_added())
    row = (await console.http.get("/workloads")).json()[0]
    assert (row["name"], row["champion"], row["accuracy"], row["stage"]) == ("tickets", None, None, "dataset")


async def test_the_champions_accuracy_comes_with_n_and_interval(
    console: Console, clickhouse: ClickHouse
) -> None:
    await examples.fill(clickhouse)
    await console.consume(examples.workload_added(), examples.promoted())
    row = (await console.http.get("/workloads")).json()[0]
    assert row["champion"] == SECOND
    assert row["accuracy"]["n"] == 300
    assert row["accuracy"]["low"] < row["accuracy"]["value"] < row["accuracy"]["high"]


async def test_the_status_counts_everything(console: Console, clickhouse: ClickHouse) -> None:
    await examples.fill(clickhouse)
    await console.consume(examples.workload_added(), examples.promoted())
    status = (await console.http.get("/workloads/tickets/status")).json()
    assert status["predictions"] == 2400
    assert status["agreement"]["n"] == 60
    assert status["last_cycle"]["cycle_id"] == "cycle-2"
    assert status["stage"] == "shadow"
    assert min(status["feedback"], status["corrections"], status["open_reviews"]) > 0


async def test_the_highest_revision_is_champion_whatever_comes_last(console: Console) -> None:
    await console.consume(
        examples.workload_added(), examples.promoted(revision=2), examples.promoted(FIRST, None, revision=1)
    )
    assert (await console.http.get("/workloads")).json()[0]["champion"] == SECOND


async def test_a_cycle_starts_with_its_cut_at_this_moment(console: Console) -> None:
    await console.consume(examples.workload_added())
    answer = await console.http.post("/workloads/tickets/cycles", json=WISH)
    assert answer.status_code == 202
    (said,) = console.published
    assert isinstance(said, CycleRequested)
    assert (said.cycle_id, said.cut, said.requested_by) == (answer.json()["cycle_id"], NOW, "ada")


async def test_a_rollback_is_asked_for(console: Console) -> None:
    await console.consume(examples.workload_added(), examples.promoted())
    answer = await console.http.post("/workloads/tickets/rollback", json=WISH)
    assert answer.status_code == 202
    (said,) = console.published
    assert isinstance(said, RollbackRequested)
    assert said.request_id == answer.json()["request_id"]


async def test_the_first_champion_cannot_be_rolled_back(console: Console) -> None:
    await console.consume(examples.workload_added(), examples.promoted(FIRST, previous=None, revision=1))
    answer = await console.http.post("/workloads/tickets/rollback", json=WISH)
    assert (answer.status_code, answer.json()["title"]) == (409, "Nothing to roll back to")
    assert console.published == []


async def test_an_unknown_workload_is_a_problem_that_names_the_known_ones(console: Console) -> None:
    await console.consume(examples.workload_added())
    for answer in (
        await console.http.get("/workloads/nothing/status"),
        await console.http.post("/workloads/nothing/cycles", json=WISH),
        await console.http.post("/workloads/nothing/rollback", json=WISH),
    ):
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert "Known: tickets" in answer.json()["detail"]


async def test_a_wish_without_a_reason_is_refused(console: Console) -> None:
    await console.consume(examples.workload_added())
    answer = await console.http.post("/workloads/tickets/cycles", json={"requested_by": "ada"})
    assert answer.status_code == 422
    assert "reason" in answer.json()["detail"]


async def test_tables_that_do_not_answer_are_a_problem_to_try_again(
    console: Console, clickhouse: ClickHouse
) -> None:
    await console.consume(examples.workload_added())
    await clickhouse.command("CREATE TABLE cycles_v1 (wrong String) ENGINE = Memory")
    answer = await console.http.get("/workloads")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
