"""Which GPUs a job gets, and how its process is started on them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.job_launcher import CannotStart
from shared.job_launcher.command import command, environment
from shared.job_launcher.host_gpus import host_gpus
from shared.job_protocol import ORDER_VARIABLE
from shared.jobs import Gpus, Job, TooFewGpus
from shared.jobs.gpus import leased_by_others
from shared.jobs.next_jobs import GLANCE, Next, next_jobs

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
FOUR = Gpus(("0", "1", "2", "3"), {"train": 1})


def job(job_id: str, workload: str, kind: str = "train", **given: Any) -> Job:
    return Job(job_id, kind, workload, {}, AT, **given)


def chosen(*jobs: Job, gpus: Gpus = FOUR, at_once: int = 4, **more: Any) -> Next:
    return next_jobs(jobs, {}, {}, at_once, "here:a", AT, gpus, **more)


def given(following: Next) -> dict[str, tuple[str, ...]]:
    return {job.job_id: job.gpus for job in following.begin}


def test_runs_beside_each_other_get_a_gpu_each_and_an_evaluation_gets_none() -> None:
    following = chosen(job("1", "a"), job("2", "b", "evaluate"), job("3", "c"))
    assert given(following) == {"1": ("0",), "2": (), "3": ("1",)}


def test_a_gpu_that_is_taken_is_given_to_nobody_else() -> None:
    following = chosen(job("1", "a"), job("2", "b"), ours={"0"}, theirs={"2"})
    assert given(following) == {"1": ("1",), "2": ("3",)}


def test_a_run_that_finds_too_few_gpus_waits_and_holds_up_no_other_workload() -> None:
    two_each = replace(FOUR, each={"train": 2})
    waiting, evaluation = job("1", "a"), job("2", "b", "evaluate")
    following = chosen(waiting, evaluation, gpus=two_each, ours={"0", "1", "2"})
    assert (given(following), following.look_at) == ({"2": ()}, None)
    elsewhere = chosen(waiting, evaluation, gpus=two_each, theirs={"0", "1", "2"})
    assert (given(elsewhere), elsewhere.look_at) == ({"2": ()}, AT + GLANCE)


def test_a_host_without_gpus_gives_none_and_runs_all_the_same() -> None:
    assert given(chosen(job("1", "a"), gpus=Gpus((), {"train": 2}))) == {"1": ()}


def test_leases_of_other_processes_on_this_host_hold_their_gpus_until_they_run_out() -> None:
    soon = AT + timedelta(seconds=9)
    jobs = [
        job("theirs", "a", lease_owner="here:b", lease_until=soon, gpus=("0",)),
        job("over", "b", lease_owner="here:b", lease_until=AT, gpus=("1",)),
        job("other host", "c", lease_owner="there:b", lease_until=soon, gpus=("2",)),
        job("of ours before a restart", "d", lease_owner="here:a", lease_until=soon, gpus=("3",)),
    ]
    assert leased_by_others(jobs, "here:a", AT) == {"0"}


def test_as_many_runs_at_once_as_there_are_gpus_for() -> None:
    assert FOUR.at_once() == 4
    assert replace(FOUR, each={"train": 2}).at_once() == 2
    assert Gpus((), {"train": 1}).at_once() == 1


def test_more_gpus_for_a_run_than_the_host_has_is_said_at_the_start() -> None:
    with pytest.raises(TooFewGpus, match=r"8 GPUs, and there are 4 here\. Lower RETRAINING_GPUS_PER_RUN"):
        Gpus(("0", "1", "2", "3"), {"train": 8})


@pytest.mark.parametrize(
    ("visible", "devices", "gpus"),
    [
        (None, ["nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"], ("0", "1")),
        (None, ["nvidia3", "nvidiactl"], ("0",)),
        (None, [], ()),
        ("2, 5", ["nvidia0"], ("2", "5")),
        ("GPU-8f6a", ["nvidia0"], ("GPU-8f6a",)),
        ("", ["nvidia0"], ()),
        ("-1", ["nvidia0"], ()),
    ],
    ids=["driver", "container", "none", "chosen", "by uuid", "empty", "off"],
)
def test_a_hosts_gpus_are_those_that_cuda_sees(
    visible: str | None, devices: list[str], gpus: tuple[str, ...]
) -> None:
    assert host_gpus(visible, devices) == gpus


def test_a_run_on_one_gpu_is_one_process_that_sees_it_alone() -> None:
    assert command("python", "services.retraining.job", 1) == ["python", "-m", "services.retraining.job"]
    assert environment("{}", ["3"]) == {"CUDA_VISIBLE_DEVICES": "3"}
    assert environment("{}", []) == {}


def test_a_run_on_several_gpus_is_launched_by_accelerate_with_fsdp() -> None:
    """The command line is accelerate's own to judge; that it trains on several GPUs was never tried."""
    launch = pytest.importorskip("accelerate.commands.launch")
    line = command("python", "services.retraining.job", 4)
    assert line[:3] == ["python", "-m", "accelerate.commands.launch"]
    asked = launch.launch_command_parser().parse_args(line[3:])
    assert (asked.num_processes, asked.num_machines, asked.use_fsdp, asked.fsdp_version) == (4, 1, True, "2")
    assert (asked.module, asked.training_script) == (True, "services.retraining.job")
    assert environment("{}", ["0", "2"]) == {"CUDA_VISIBLE_DEVICES": "0,2", ORDER_VARIABLE: "{}"}
    with pytest.raises(CannotStart, match="Use fewer or shorter labels"):
        environment("x" * 130_000, ["0", "2"])
