"""The command line at a real `workloads`: what it prints, how following ends, and with which exit code."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.clickhouse import ClickHouse
from shared.events import (
    CandidateEvaluated,
    CandidateTrained,
    DatasetCounts,
    DatasetPublished,
    DatasetRefused,
    Event,
    FailureClustersFound,
    RunCancelRequested,
    TrainingFailed,
    TrainingProgressed,
    TrainingRequested,
    Verdict,
)
from tests.servers.http import app_of, serving
from tests.servers.model import ROOT, free_port
from tests.services.console.examples import frozen, scorecard
from tests.services.workloads.conftest import ADAPTER, NOON, Workloads, corrected, flagged, judged

COMMAND = [sys.executable, "-c", "from deploy.__main__ import main; main()"]
PATIENCE_SECONDS = 60
TOML = """\
name = "tickets"
title = "What does the customer want?"
rows = "rows.csv"
prompt = "{text}\\nIntent:"
labels = ["refund", "card", "parcel"]
[training]
rank = 4
max_steps = 10
"""
CSV = "text,label\n" + "".join(
    f"about {label} {n},{label}\n" for label in ("refund", "card", "parcel") for n in range(30)
)


@dataclass
class Running:
    """A command that runs, and what it wrote so far."""

    process: asyncio.subprocess.Process
    output: str = ""
    terminal: int | None = None

    async def until(self, words: str) -> None:
        """Waits until it has written these words. Raises with what it wrote if it does not, or ends first."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while words not in self.output:
                    more = await self._more()
                    assert more, f"it ended without “{words}”:\n{self.output}"
                    self.output += more
        except TimeoutError:
            raise TimeoutError(f"no “{words}” in:\n{self.output}") from None

    async def end(self) -> tuple[int, str]:
        """Its exit code, and all that it wrote."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while more := await self._more():
                self.output += more
            return await self.process.wait(), self.output

    async def _more(self) -> str:
        if self.terminal is None:
            assert self.process.stdout is not None
            return (await self.process.stdout.read(1000)).decode()
        try:
            return (await asyncio.to_thread(os.read, self.terminal, 1000)).decode(errors="replace")
        except OSError:  # Linux says so at the end of a terminal
            return ""


class Place:
    """A workloads service on a port, and a folder with a workload's files."""

    def __init__(self, workloads: Workloads, folder: Path) -> None:
        self.workloads, self.folder, self.port = workloads, folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "tickets.toml").write_text(TOML)
        (folder / "rows.csv").write_text(CSV)

    def serving(self) -> AbstractAsyncContextManager[str]:
        return serving(app_of(self.workloads.service), self.port)

    async def start(
        self, *arguments: str, in_terminal: bool = False, errors: int = asyncio.subprocess.STDOUT
    ) -> Running:
        """`errors`: where a pipe's standard error goes."""
        environment = os.environ | {"TUNELOOP_URL": self.url, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
        if not in_terminal:
            process = await asyncio.create_subprocess_exec(
                *COMMAND, *arguments, cwd=self.folder, env=environment,
                stdout=asyncio.subprocess.PIPE, stderr=errors,
            )  # fmt: skip
            return Running(process)
        ours, theirs = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            *COMMAND, *arguments, cwd=self.folder, env=environment | {"TERM": "xterm"},
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        return Running(process, terminal=ours)

    async def run(self, *arguments: str) -> tuple[int, str]:
        return await (await self.start(*arguments)).end()

    async def standard_output(self, *arguments: str) -> tuple[int, str]:
        """As `run`, of which a script reads nothing else."""
        return await (await self.start(*arguments, errors=asyncio.subprocess.DEVNULL)).end()

    async def added(self) -> str:
        """Adds the workload and promotes its first model; the round's id."""
        running = await self.start("workload", "add", "tickets.toml")
        await running.until("dataset:")
        round_id = DatasetPublished.id_of_revision("tickets", 1)
        await self.workloads.apply(judged(round_id, cycle=False))
        assert (await running.end())[0] == 0
        return round_id

    async def learn(self) -> None:
        """Gives the next cycle something to learn from."""
        await self.workloads.apply(*(flagged(f"p{n}") for n in range(6)))
        await self.workloads.apply(*(corrected(f"p{n}", "refund") for n in range(6)))

    async def cycle(self, *, in_terminal: bool = False) -> tuple[Running, str]:
        """A cycle that was started and is followed, and its id."""
        await self.learn()
        running = await self.start("cycle", "start", "tickets", "--follow", in_terminal=in_terminal)
        await running.until("Cycle ")
        await running.until("failures alike")
        latest = (await self.workloads.client.get("/workloads/tickets/status")).json()["last_cycle"]
        return running, latest["cycle_id"]


@pytest.fixture
async def place(workloads: Workloads, tmp_path: Path) -> AsyncIterator[Place]:
    folder = tmp_path / "at work"
    folder.mkdir()
    here = Place(workloads, folder)
    async with here.serving():
        yield here


def events_of(cycle_id: str | None, dataset_id: str) -> dict[str, Event]:
    """What a round's services publish on the way to its shadow, by name."""
    of_it = {"workload": "tickets", "dataset_id": dataset_id, "cycle_id": cycle_id}
    run = {**of_it, "run_id": "run-1", "cutoff": NOON}
    return {
        "clustered": FailureClustersFound(
            cycle_id=cycle_id or "none", workload="tickets", cutoff=NOON, clusters=[], failures=frozen(6),
            corrections=frozen(6), found_at=NOON,
        ),
        "published": DatasetPublished(
            **of_it, version=2, cutoff=NOON, train=frozen(60), golden=frozen(10), held_out=frozen(20),
            manifest=frozen(1), counts=DatasetCounts(), published_at=NOON,
        ),
        "progressed": TrainingProgressed(
            run_id="run-1", workload="tickets", phase="training", done=30, total=60, progressed_at=NOON
        ),
        "trained": CandidateTrained(
            **run, candidate=ADAPTER, method="lora", steps=60, train_rows=60, final_loss=0.6, seconds=90,
            trained_at=NOON,
        ),
        "failed": TrainingFailed(
            run_id="run-1", **of_it, reason="out of memory", failed_at=NOON
        ),
        "evaluated": CandidateEvaluated(
            **run, candidate=ADAPTER, champion="old", scorecard=scorecard(247, 239), answers=frozen(30),
            seconds=52, evaluated_at=NOON,
        ),
    }  # fmt: skip


async def test_adding_says_the_cost_follows_every_stage_and_ends_with_the_verdict(place: Place) -> None:
    running = await place.start("workload", "add", "tickets.toml")
    await running.until("tickets: 90 rows, 3 labels. Training and evaluating takes about")
    await running.until("dataset: 90 rows")
    dataset_id = DatasetPublished.id_of_revision("tickets", 1)
    told = events_of(None, dataset_id)
    for name, stage in (("published", "training:"), ("trained", "evaluation:")):
        await place.workloads.apply(told[name])
        await running.until(stage)
    await place.workloads.apply(judged(dataset_id, cycle=False))
    code, output = await running.end()
    assert (code, output.splitlines()[-1]) == (0, "tickets: PROMOTED. It is better.")
    assert "Traceback" not in output


async def test_adding_the_same_again_trains_nothing_and_says_so(place: Place) -> None:
    await place.added()
    code, output = await place.run("workload", "add", "tickets.toml")
    assert (code, output.splitlines()[-1]) == (
        0,
        "tickets: nothing differs from revision 1, nothing is trained.",
    )


async def test_what_is_wrong_in_the_files_is_said_with_its_line(place: Place) -> None:
    (place.folder / "rows.csv").write_text(CSV + "hello,refnd\n")
    code, output = await place.run("workload", "add", "tickets.toml")
    assert code == 1
    assert "rows.csv, line 92" in output
    assert "Did you mean" in output
    (place.folder / "tickets.toml").write_text(TOML.replace("rank", "rnk"))
    code, output = await place.run("workload", "add", "tickets.toml")
    assert code == 1
    assert "tickets.toml, line 7" in output


@pytest.mark.parametrize("verdict", [Verdict.HOLD, Verdict.REJECT])
async def test_a_first_model_that_is_not_promoted_fails_the_command(place: Place, verdict: Verdict) -> None:
    running = await place.start("workload", "add", "tickets.toml")
    await running.until("dataset:")
    dataset_id = DatasetPublished.id_of_revision("tickets", 1)
    await place.workloads.apply(judged(dataset_id, verdict, cycle=False))
    code, output = await running.end()
    assert code == 1
    assert output.splitlines()[-1] == f"tickets: {verdict}, its new model does not answer. It is better."


async def test_a_training_that_fails_says_why(place: Place) -> None:
    running = await place.start("workload", "add", "tickets.toml")
    await running.until("dataset:")
    await place.workloads.apply(events_of(None, DatasetPublished.id_of_revision("tickets", 1))["failed"])
    code, output = await running.end()
    assert (code, output.splitlines()[-1]) == (1, "tickets: training failed. out of memory")


async def test_a_candidate_that_is_held_is_a_cycles_good_end(place: Place) -> None:
    await place.added()
    running, cycle_id = await place.cycle()
    told = events_of(cycle_id, DatasetPublished.id_of_cycle("tickets", cycle_id))
    for name in ("clustered", "published", "trained", "evaluated"):
        await place.workloads.apply(told[name])
    await running.until("Reviews decide: the console's page Review.")
    await place.workloads.apply(judged(cycle_id, Verdict.HOLD))
    code, output = await running.end()
    assert (code, output.splitlines()[-1]) == (0, "tickets: HOLD, the champion stays. It is better.")


async def test_a_refused_dataset_ends_a_cycle_with_its_reason(place: Place) -> None:
    await place.added()
    running, cycle_id = await place.cycle()
    await place.workloads.apply(
        DatasetRefused(
            cycle_id=cycle_id, workload="tickets", cutoff=NOON, reason="3 leaks remain", refused_at=NOON
        )
    )
    code, output = await running.end()
    assert (code, output.splitlines()[-1]) == (1, "tickets: no dataset was made. 3 leaks remain")


async def test_a_cycle_with_nothing_to_learn_from_is_refused(place: Place) -> None:
    await place.added()
    code, output = await place.run("cycle", "start", "tickets")
    assert code == 1
    assert len(output.strip().splitlines()) == 1


async def test_starting_a_cycle_twice_names_the_one_under_way(place: Place) -> None:
    await place.added()
    await place.learn()
    code, output = await place.run("cycle", "start", "tickets")
    assert code == 0
    assert output.strip().endswith("Follow it: tuneloop workload follow tickets")
    cycle_id = output.split()[1].rstrip(":")
    code, output = await place.run("cycle", "start", "tickets")
    assert code == 1
    assert cycle_id in output


@pytest.mark.parametrize("in_terminal", [True, False])
async def test_leaving_a_shadow_says_that_it_goes_on_and_how_to_come_back(
    place: Place, in_terminal: bool
) -> None:
    await place.added()
    running, cycle_id = await place.cycle(in_terminal=in_terminal)
    told = events_of(cycle_id, DatasetPublished.id_of_cycle("tickets", cycle_id))
    for name in ("published", "trained", "evaluated"):
        await place.workloads.apply(told[name])
    await running.until("Reviews decide")
    running.process.send_signal(signal.SIGINT)
    code, output = await running.end()
    assert code == (0 if in_terminal else 130)
    assert "goes on by itself (shadow:" in output
    assert "tuneloop workload follow tickets" in output
    back = await place.start("workload", "follow", "tickets")
    await back.until("shadow:")
    await place.workloads.apply(judged(cycle_id))
    assert (await back.end())[0] == 0


async def test_following_goes_on_when_the_service_is_restarted_in_between(
    workloads: Workloads, tmp_path: Path
) -> None:
    place = Place(workloads, tmp_path)
    async with place.serving():
        running = await place.start("workload", "add", "tickets.toml")
        await running.until("dataset:")
        await workloads.publish_all()
    await workloads.kill()
    await asyncio.sleep(1)
    await workloads.start()
    async with place.serving():  # at first it does not know its workloads: they are read from the broker
        await asyncio.sleep(1)
        await workloads.apply(*workloads.revisions())
        await workloads.apply(judged(DatasetPublished.id_of_revision("tickets", 1), cycle=False))
        code, output = await running.end()
    assert (code, output.splitlines()[-1]) == (0, "tickets: PROMOTED. It is better.")


async def test_progress_shows_on_a_terminal_with_how_much_is_left(place: Place) -> None:
    await place.added()
    running, cycle_id = await place.cycle(in_terminal=True)
    told = events_of(cycle_id, DatasetPublished.id_of_cycle("tickets", cycle_id))
    for name in ("published", "progressed"):
        await place.workloads.apply(told[name])
    await running.until("50%")
    await place.workloads.apply(judged(cycle_id))
    assert (await running.end())[0] == 0


async def test_status_lists_and_retiring(place: Place, clickhouse: ClickHouse) -> None:
    code, output = await place.run("status")
    first, last = output.splitlines()
    assert (code, first) == (0, "No workload yet. Add one: tuneloop workload add FILE.toml")
    assert last.startswith("Not all that waits is known. Kafka: ")  # there is none here
    await place.added()
    code, output = await place.run("status")
    assert (code, len(output.splitlines())) == (0, 3)
    lost = "c-v1 is champion and is lost: it is gone. Train anew (tuneloop train tickets)."
    row = {"workload": "tickets", "reason": lost}
    await clickhouse.insert("lost_champions_v1", [row, row | {"workload": "another"}])
    assert f"tickets: {lost}" in (await place.run("status"))[1].splitlines()
    document = json.loads((await place.run("status", "--json"))[1])
    assert document["workloads"][0]["champion_lost"] == lost
    assert document["url"] == place.url
    assert document["workloads"][0]["round"]["outcome"] == "promoted"
    shown = json.loads((await place.run("workload", "show", "tickets"))[1])
    assert (shown["revision"], shown["definition"]["labels"]) == (1, ["refund", "card", "parcel"])
    assert (await place.run("workload", "retire", "tickets"))[0] == 0
    assert "tickets" not in (await place.run("workload", "list"))[1].split()
    assert "retired" in (await place.run("workload", "list", "--retired"))[1]


async def test_a_rollback_without_an_earlier_champion_is_refused_in_one_line(place: Place) -> None:
    await place.added()
    code, output = await place.run("rollback", "tickets")
    assert (code, len(output.strip().splitlines())) == (1, 1)
    assert "no earlier champion" in output


async def test_a_workload_that_is_not_there_is_said_with_those_that_are(place: Place) -> None:
    await place.added()
    for command in (["workload", "follow"], ["workload", "show"], ["cycle", "start"], ["rollback"]):
        code, output = await place.run(*command, "nothing")
        assert (code, output.strip()) == (1, "There is no workload “nothing”. Known: tickets.")


async def test_what_is_asked_of_a_service_that_has_just_started_is_done_a_moment_later(place: Place) -> None:
    """It is ready, and Kafka gives it its partitions a moment later."""
    place.workloads.looks_before_assigned = 3
    await place.added()
    assert place.workloads.looks_before_assigned == 0
    place.workloads.looks_before_assigned = 3
    assert (await place.run("workload", "retire", "tickets"))[0] == 0


async def trainable(place: Place, clickhouse: ClickHouse) -> None:
    await place.added()
    await has_dataset(clickhouse)


async def has_dataset(clickhouse: ClickHouse) -> None:
    row = {"dataset_id": "d2", "workload": "tickets", "version": 2, "published_at": NOON}
    await clickhouse.insert("datasets_v1", [row])


async def under_way(place: Place, running: Running) -> str:
    """The id of the run that `tuneloop train` follows."""
    await running.until("waits for its turn")
    (run,) = (await place.workloads.client.get("/runs?workload=tickets")).json()
    return str(run["run_id"])


async def ran(place: Place, clickhouse: ClickHouse, run_id: str, state: str, **more: Any) -> None:
    """`retraining` keeps the run's state, and then publishes what ends its training."""
    row = {"run_id": run_id, "workload": "tickets", "dataset_id": "d2", "state": state, "changed_at": NOON}
    await clickhouse.insert("runs_v1", [row | more])
    of_it = {"run_id": run_id, "dataset_id": "d2", "cycle_id": None}
    events = events_of(None, "d2")
    name = "failed" if state == "failed" else "evaluated"
    await place.workloads.apply(events[name].model_copy(update=of_it | {"reason": more.get("reason", "")}))


async def test_train_follows_its_run_until_it_is_evaluated_and_ends_with_one_json_line(
    place: Place, clickhouse: ClickHouse
) -> None:
    await trainable(place, clickhouse)
    running = await place.start("train", "tickets", "--method", "lora", "--set", "seed=7", "--json")
    run_id = await under_way(place, running)
    await ran(
        place, clickhouse, run_id, "evaluated", candidate="tickets-v2", method="lora", train_rows=60,
        rows_seen=40, warnings=["20 rows were never seen"], peak_memory_gb=2.25, estimated_memory_gb=2.5,
    )  # fmt: skip
    code, output = await running.end()
    assert code == 0
    told = json.loads(output.splitlines()[-1])
    assert (told["run_id"], told["state"], told["candidate"]) == (run_id, "evaluated", "tickets-v2")
    assert (told["rows_seen"], told["warnings"]) == (40, ["20 rows were never seen"])
    assert (told["peak_memory_gb"], told["estimated_memory_gb"]) == (2.25, 2.5)
    asked = [event for event in place.workloads.published if isinstance(event, TrainingRequested)]
    assert not asked  # the outbox has not been looked at yet; it publishes what the answer stands for
    await place.workloads.publish_all()
    (event,) = [event for event in place.workloads.published if isinstance(event, TrainingRequested)]
    assert (event.training.method, event.training.seed) == ("lora", 7)


async def test_train_of_a_run_that_fails_ends_with_the_reason(place: Place, clickhouse: ClickHouse) -> None:
    await trainable(place, clickhouse)
    running = await place.start("train", "tickets")
    run_id = await under_way(place, running)
    await ran(place, clickhouse, run_id, "failed", reason="the loss of step 3 is nan")
    code, output = await running.end()
    assert (code, output.splitlines()[-1]) == (
        1,
        f"tickets: run {run_id} has failed. the loss of step 3 is nan",
    )


async def test_train_in_json_of_a_run_that_fails_ends_with_its_line_and_exit_code_1(
    place: Place, clickhouse: ClickHouse
) -> None:
    await trainable(place, clickhouse)
    with (place.folder / "errors").open("wb") as errors:
        running = await place.start("train", "tickets", "--json", errors=errors.fileno())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while "waits for its turn" not in (place.folder / "errors").read_text():
            await asyncio.sleep(0.05)
    [run] = (await place.workloads.client.get("/runs?workload=tickets")).json()
    run_id, why = run["run_id"], "the loss of step 3 is nan"
    await ran(place, clickhouse, run_id, "failed", reason=why)
    code, output = await running.end()
    told = json.loads(output)
    assert (code, told["run_id"], told["state"], told["reason"]) == (1, run_id, "failed", why)


async def test_ctrl_c_leaves_a_training_running_and_says_so_and_cancel_ends_it(
    place: Place, clickhouse: ClickHouse
) -> None:
    await trainable(place, clickhouse)
    running = await place.start("train", "tickets", in_terminal=True)
    await running.until("Ctrl-C leaves it running")
    run_id = await under_way(place, running)
    running.process.send_signal(signal.SIGINT)
    code, output = await running.end()
    assert code == 0
    assert "tickets goes on by itself (training:" in output
    code, output = await place.run("runs", "cancel", run_id[:8], "--reason", "the wrong rows")
    assert (code, output.strip()) == (0, f"Run {run_id} ends now. See: tuneloop runs list")
    (event,) = [event for event in place.workloads.published if isinstance(event, RunCancelRequested)]
    assert (event.run_id, event.reason) == (run_id, "the wrong rows")
    code, output = await place.run("runs", "list")
    assert run_id in output


async def test_what_cannot_be_trained_is_refused_in_one_line(place: Place, clickhouse: ClickHouse) -> None:
    await place.added()
    code, output = await place.run("train", "tickets")
    assert code == 1
    assert output.strip().startswith("“tickets” has no dataset yet")
    await has_dataset(clickhouse)
    for given, said in (
        (["--method", "dora"], "training.method"),
        (["--set", "lora_q=3"], "Check its spelling"),
        (["--set", "seed"], "write NAME=VALUE"),
        (["--dataset", "9"], "no dataset v9"),
    ):
        code, output = await place.run("train", "tickets", *given)
        assert code == 1
        assert said in output
        assert len(output.strip().splitlines()) == 1


async def test_train_in_json_of_what_is_refused_ends_with_its_reason_and_exit_code_1(place: Place) -> None:
    await place.added()
    for command, reason in (
        (["nothing"], "There is no workload “nothing”"),
        (["tickets"], "“tickets” has no dataset yet"),
        (["tickets", "--set", "seed"], "write NAME=VALUE"),
    ):
        code, output = await place.standard_output("train", *command, "--json")
        assert (code, len(output.splitlines())) == (1, 1)
        assert reason in json.loads(output)["error"]
    place.url = f"http://127.0.0.1:{free_port()}"
    code, output = await place.standard_output("train", "tickets", "--json")
    assert (code, "does not answer" in json.loads(output)["error"]) == (1, True)


async def test_adapters_are_listed_and_one_is_shown_whole(place: Place, clickhouse: ClickHouse) -> None:
    code, output = await place.run("adapters", "list")
    assert (code, output.strip()) == (0, "No adapter yet. The first is trained when a workload is added.")
    row = ADAPTER.model_dump() | {"workload": "tickets", "run_id": "r1", "method": "qlora", "dataset_id": "d"}
    row |= {"plan": '{"lora_r": 16}', "train_rows": 50_000, "rows_seen": 6_400, "trained_at": NOON}
    row |= {"warnings": ["87 % of its rows were never seen"], "peak_memory_gb": 2.25}
    await clickhouse.insert("adapters_v1", [row])
    code, output = await place.run("adapters", "list")
    assert code == 0
    assert "6,400 of 50,000" in output
    assert f"{ADAPTER.name}: 87 % of its rows were never seen" in output
    code, output = await place.run("adapters", "show", ADAPTER.name[:6])
    shown = json.loads(output)
    assert (code, shown["plan"]) == (0, {"lora_r": 16})
    assert (shown["peak_memory_gb"], shown["estimated_memory_gb"]) == (2.25, None)


async def test_adapters_in_json_are_one_document_of_all_that_is_known_of_them(
    place: Place, clickhouse: ClickHouse
) -> None:
    assert await place.standard_output("adapters", "list", "--json") == (0, "[]\n")
    await place.added()
    row = ADAPTER.model_dump() | {"workload": "tickets", "run_id": "r1", "method": "qlora", "dataset_id": "d"}
    row |= {"plan": '{"lora_r": 16}', "train_rows": 50_000, "rows_seen": 6_400, "trained_at": NOON}
    await clickhouse.insert("adapters_v1", [row, row | {"name": "parcels-v1", "workload": "parcels"}])
    code, output = await place.standard_output("adapters", "list", "--json")
    assert (code, {one["workload"] for one in json.loads(output)}) == (0, {"tickets", "parcels"})
    code, output = await place.standard_output("adapters", "list", "--workload", "tickets", "--json")
    [one] = json.loads(output)
    assert (code, one) == (0, json.loads((await place.run("adapters", "show", ADAPTER.name))[1]))
    assert (one["name"], one["rows_seen"]) == (ADAPTER.name, 6_400)
    place.url = f"http://127.0.0.1:{free_port()}"
    assert await place.standard_output("adapters", "list", "--json") == (1, "")
