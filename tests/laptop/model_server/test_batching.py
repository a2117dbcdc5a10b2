from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import wait
from typing import Any

import pytest

from deploy.laptop.model_server.batching import (
    Answer,
    Busy,
    Job,
    Sampling,
    Token,
    Worker,
    WorkerDied,
    next_pass,
)


def job(weights: str = "base", *, length: int = 10, since: int = 0, max_tokens: int = 1) -> Job:
    return Job(weights, (1,) * length, Sampling(max_tokens=max_tokens), since=since)


def unread(one: Job) -> int:
    return 1 if one.tokens else len(one.prompt)


# Which go together


def test_jobs_of_the_same_weights_share_a_pass() -> None:
    base, other = "base", "other"
    jobs = [job(base, since=1), job(other, since=2), job(base, since=3)]
    assert next_pass(jobs, unread) == [jobs[0], jobs[2]]


def test_the_longest_waiting_job_decides_whose_turn_it_is() -> None:
    early, late = job("early", since=1), job("late", since=2)
    assert next_pass([late, early], unread) == [early]


def test_a_pass_holds_no_more_tokens_than_it_may() -> None:
    jobs = [job(length=40, since=n) for n in range(5)]
    assert next_pass(jobs, unread, most_tokens=100) == jobs[:2]


def test_a_prompt_longer_than_a_pass_goes_alone() -> None:
    jobs = [job(length=1000, since=0), job(length=1, since=1)]
    assert next_pass(jobs, unread, most_tokens=100) == jobs[:1]


def test_a_job_that_has_begun_costs_one_token_a_pass() -> None:
    begun = job(length=99, since=0, max_tokens=9)
    begun.tokens.append(Token(7, 0.0))
    fresh = job(length=99, since=1)
    assert next_pass([begun, fresh], unread, most_tokens=100) == [begun, fresh]


def test_what_is_read_already_takes_no_room() -> None:
    jobs = [job(length=99, since=n) for n in range(3)]
    assert next_pass(jobs, lambda one: len(one.prompt) - 50, most_tokens=100) == jobs[:2]


def test_nothing_to_do_is_an_empty_pass() -> None:
    assert next_pass([], unread) == []


# The worker


class CountingEngine:
    """Answers with 0, 1, 2, …; fails for a prompt that holds a 13; can be held at the door of a pass."""

    def __init__(self) -> None:
        self.passes: list[list[Job]] = []
        self.may_pass = threading.Event()
        self.may_pass.set()
        self.at_the_door = threading.Semaphore(0)

    def advance(self, weights: Any, jobs: Sequence[Job]) -> list[Token]:
        self.at_the_door.release()
        assert self.may_pass.wait(10)
        self.passes.append(list(jobs))
        if any(13 in job.prompt for job in jobs):
            raise ArithmeticError("thirteen")
        return [Token(len(job.tokens), 0.0) for job in jobs]

    def unread(self, job: Job) -> int:
        return unread(job)

    def ending(self, job: Job) -> Answer | None:
        done = len(job.tokens) == job.sampling.max_tokens
        return Answer(tuple(job.tokens), "", "length") if done else None


@pytest.fixture
def engine() -> CountingEngine:
    return CountingEngine()


@pytest.fixture
def worker(engine: CountingEngine) -> Any:
    worker = Worker(engine, on_death=lambda: None, most_unfinished=8)
    worker.start()
    yield worker
    engine.may_pass.set()
    assert worker.stop(timeout_seconds=10)


def test_what_arrives_during_a_pass_goes_together_in_the_next(engine: CountingEngine, worker: Worker) -> None:
    engine.may_pass.clear()
    first, *rest = jobs = [job("base") for _ in range(5)]
    worker.submit([first])
    assert engine.at_the_door.acquire(timeout=10)
    worker.submit(rest)
    engine.may_pass.set()
    wait([each.answer for each in jobs], timeout=10)
    assert engine.passes == [[first], rest]


def test_a_job_that_fails_fails_alone(worker: Worker) -> None:
    good, bad, fine = job(), Job("base", (13,), Sampling(max_tokens=1)), job()
    worker.submit([good, bad, fine])
    assert isinstance(bad.answer.exception(10), ArithmeticError)
    assert good.answer.result(10).finish_reason == "length"
    assert fine.answer.result(10).finish_reason == "length"


def test_a_long_answer_does_not_hold_up_a_short_one_of_another_model(
    engine: CountingEngine, worker: Worker
) -> None:
    engine.may_pass.clear()
    long, short = job("one", max_tokens=50), job("two")
    worker.submit([long, short])
    engine.may_pass.set()
    assert short.answer.result(10)
    assert len(long.answer.result(10).tokens) == 50
    assert [short] in engine.passes[:2]


def test_an_abandoned_job_is_dropped_before_its_next_token(engine: CountingEngine, worker: Worker) -> None:
    engine.may_pass.clear()
    unwanted, wanted = job(max_tokens=1_000_000_000), job()
    worker.submit([unwanted])
    assert engine.at_the_door.acquire(timeout=10)
    unwanted.abandoned = True
    worker.submit([wanted])
    engine.may_pass.set()
    assert wanted.answer.result(10)
    assert len(unwanted.tokens) == 1
    assert worker.counts() == (0, 0)


def test_a_cancelled_answer_takes_no_other_with_it(engine: CountingEngine, worker: Worker) -> None:
    engine.may_pass.clear()
    cancelled, wanted = job(), job()
    worker.submit([cancelled, wanted])
    assert engine.at_the_door.acquire(timeout=10)
    cancelled.answer.cancel()
    engine.may_pass.set()
    assert wanted.answer.result(10)


def test_beyond_its_bound_the_worker_is_busy_and_takes_all_or_none(
    engine: CountingEngine, worker: Worker
) -> None:
    engine.may_pass.clear()
    worker.submit([job() for _ in range(6)])
    with pytest.raises(Busy):
        worker.submit([job() for _ in range(3)])
    worker.submit([job() for _ in range(2)])
    assert sum(worker.counts()) == 8


@pytest.mark.parametrize("step", ["unread", "ending"])
def test_a_worker_that_dies_says_so_to_all_that_wait_and_to_all_that_come(
    engine: CountingEngine, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fails(_: Job) -> Any:
        raise ArithmeticError("of the loop's own, and not of a request")

    monkeypatch.setattr(engine, step, fails)
    died = threading.Event()
    worker = Worker(engine, on_death=died.set)
    jobs = [job("one"), job("two"), job("one", max_tokens=9)]
    jobs[1].answer.cancel()
    worker.submit(jobs)
    worker.start()
    for each in (jobs[0], jobs[2]):
        assert isinstance(each.answer.exception(10), WorkerDied)
    assert died.wait(10)
    with pytest.raises(WorkerDied, match=r"asked no more \(ArithmeticError\)"):
        worker.submit([job()])
    assert worker.counts() == (0, 0)
    assert worker.stop(timeout_seconds=10)
