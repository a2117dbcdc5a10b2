from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from shared.jobs.job import Job, JobState
from shared.jobs.next_jobs import GLANCE, Next, next_jobs

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
SOON, LATER, LATEST = AT + timedelta(seconds=2), AT + timedelta(seconds=10), AT + timedelta(seconds=20)


def job(job_id: str, workload: str, **given: Any) -> Job:
    return Job(job_id, "k", workload, {}, AT, **given)


def chosen(*jobs: Job, under_way: dict[str, str] | None = None, pauses: Any = None, at_once: int = 2) -> Next:
    return next_jobs(jobs, under_way or {}, pauses or {}, at_once, "me", AT)


def ids(following: Next) -> list[str]:
    return [job.job_id for job in following.begin]


def test_jobs_begin_in_the_order_they_were_wanted_up_to_the_limit() -> None:
    assert ids(chosen(job("1", "a"), job("2", "b"), job("3", "c"))) == ["1", "2"]
    assert ids(chosen(job("1", "a"), job("2", "b"), under_way={"0": "z"})) == ["1"]
    assert ids(chosen(job("1", "a"), under_way={"0": "z", "00": "y"})) == []


def test_what_was_cancelled_while_it_waited_is_said_though_all_places_are_taken() -> None:
    cancelled = job("1", "a", state=JobState.FINISHED, error="cancelled by me")
    assert ids(chosen(cancelled, job("2", "b"), under_way={"0": "z", "00": "y"})) == ["1"]


def test_a_workload_has_one_job_at_a_time() -> None:
    assert ids(chosen(job("1", "a"), job("2", "a"), job("3", "b"))) == ["1", "3"]
    assert ids(chosen(job("1", "a"), job("2", "a"), job("3", "b"), under_way={"1": "a"})) == ["3"]


def test_a_job_that_pauses_holds_up_its_own_workload_alone() -> None:
    following = chosen(job("1", "a"), job("2", "a"), job("3", "b"), pauses={"1": LATER})
    assert (ids(following), following.look_at) == (["3"], LATER)
    assert ids(chosen(job("1", "a"), pauses={"1": AT})) == ["1"]


def test_a_lease_of_somebody_else_is_waited_for_and_ones_own_is_not() -> None:
    theirs = job("1", "a", lease_owner="other", lease_until=LATEST)
    mine = job("2", "b", lease_owner="me", lease_until=LATEST)
    following = chosen(theirs, mine)
    assert (ids(following), following.look_at) == (["2"], AT + GLANCE)


def test_a_lease_that_has_run_out_or_was_given_back_is_none() -> None:
    over = job("1", "a", lease_owner="other", lease_until=AT)
    given_back = job("2", "b", lease_owner="other", lease_until=None)
    assert ids(chosen(over, given_back)) == ["1", "2"]


def test_the_next_look_is_at_the_first_of_all_moments() -> None:
    theirs = job("1", "a", lease_owner="other", lease_until=SOON)
    assert chosen(theirs, job("2", "b"), pauses={"2": LATER}).look_at == SOON
    assert chosen(job("1", "a"), job("2", "b"), pauses={"1": LATEST, "2": LATER}).look_at == LATER
    assert chosen(job("2", "b")).look_at is None
