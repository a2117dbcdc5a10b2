"""Requests that arrive together are answered together: which run next, and the thread that runs them."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

TOKENS_PER_PASS = 512
"""More in one pass through the model is hardly faster per token, and everybody in it waits for all of it."""
COMPANY_SECONDS = 0.003
MOST_UNFINISHED = 1024

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sampling:
    """How a request wants its tokens chosen. `logprobs`: how many of the likeliest to tell, None for none."""

    max_tokens: int = 16
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    allowed: tuple[int, ...] | None = None
    logprobs: int | None = None


@dataclass(frozen=True)
class Token:
    """One answered token. Log-probabilities are natural, and those of the distribution drawn from."""

    id: int
    logprob: float
    top: tuple[tuple[int, float], ...] | None = None
    """The likeliest tokens, likeliest first; None if the request asked for no log-probabilities."""


@dataclass(frozen=True)
class Answer:
    tokens: tuple[Token, ...]
    text: str
    finish_reason: Literal["stop", "length"]
    stop_reason: str | None = None


@dataclass(eq=False)
class Job:
    """One prompt on its way to an answer. `weights` is the model to ask; jobs with the same share a pass."""

    weights: Any
    prompt: tuple[int, ...]
    sampling: Sampling
    answer: Future[Answer] = field(default_factory=Future)
    abandoned: bool = False
    """Set by whoever no longer wants the answer; the worker then drops the job at its next step."""
    since: int = 0
    tokens: list[Token] = field(default_factory=list)
    memory: Any = None
    """The engine's own: what it keeps of the job from token to token."""


class Engine(Protocol):
    def unread(self, job: Job) -> int:
        """How many tokens of it the next pass has to read."""

    def advance(self, weights: Any, jobs: Sequence[Job]) -> list[Token]:
        """The next token of each job, all asked of the same weights, in one pass.

        If it raises, the jobs are as they were before.
        """

    def ending(self, job: Job) -> Answer | None:
        """The job's answer, if its last token was the last."""


class Busy(Exception):
    """Too many requests wait already. Try again in a moment."""


class WorkerDied(Exception):
    """The thread that asks the model has ended by an error. Only another process answers again."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"the model is asked no more ({type(error).__name__}): the server starts anew")


def next_pass(
    jobs: Sequence[Job], unread: Callable[[Job], int], most_tokens: int = TOKENS_PER_PASS
) -> list[Job]:
    """The jobs that go through the model together next: those of the longest-waiting job's weights.

    In the order in which they wait, up to `most_tokens` not read yet; the first goes even if it has more.
    """
    waiting = sorted(jobs, key=lambda job: job.since)
    chosen: list[Job] = []
    tokens = 0
    for job in waiting:
        if job.weights is not waiting[0].weights:
            continue
        tokens += unread(job)
        if chosen and tokens > most_tokens:
            break
        chosen.append(job)
    return chosen


class Worker:
    """The one thread that asks the model. A job that fails takes no other with it."""

    def __init__(
        self, engine: Engine, *, on_death: Callable[[], None], most_unfinished: int = MOST_UNFINISHED
    ) -> None:
        """`on_death` is called should the thread end by an error of its own: nobody is answered then."""
        self._engine = engine
        self._on_death = on_death
        self._most_unfinished = most_unfinished
        self._arrived: deque[Job] = deque()
        self._running: list[Job] = []
        self._change = threading.Condition()
        self._stopping = False
        self._died: BaseException | None = None
        self._clock = 0
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float) -> bool:
        """Finishes the pass under way and no more. Says whether the thread has ended in time."""
        with self._change:
            self._stopping = True
            self._change.notify_all()
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def submit(self, jobs: Sequence[Job]) -> None:
        """Takes all of them, or raises Busy or WorkerDied."""
        with self._change:
            if self._died is not None:
                raise WorkerDied(self._died)
            if len(self._arrived) + len(self._running) + len(jobs) > self._most_unfinished:
                raise Busy(f"{self._most_unfinished} requests are waiting already")
            self._arrived.extend(jobs)
            self._change.notify_all()

    def counts(self) -> tuple[int, int]:
        """How many jobs have begun, and how many wait."""
        with self._change:
            begun = sum(1 for job in self._running if job.tokens)
            return begun, len(self._running) - begun + len(self._arrived)

    def _work(self) -> None:
        try:
            self._answer_until_told_to_stop()
        except BaseException as error:
            log.exception("the thread that asks the model has ended; nothing is answered any more")
            self._end_all(error)
            self._on_death()

    def _end_all(self, error: BaseException) -> None:
        """Nobody waits for an answer that never comes, and nobody else begins to."""
        with self._change:
            self._died = error
            unfinished = [*self._running, *self._arrived]
            self._running, self._arrived = [], deque()
        for job in unfinished:
            with suppress(InvalidStateError):  # cancelled meanwhile
                job.answer.set_exception(WorkerDied(error))

    def _answer_until_told_to_stop(self) -> None:
        in_company = False
        while self._take(in_company):
            jobs = next_pass(self._running, self._engine.unread)
            if jobs:
                in_company = len(jobs) > 1
                self._advance(jobs)

    def _take(self, in_company: bool) -> bool:
        """Moves what has arrived to what runs; waits if nothing runs. False: it is time to stop."""
        with self._change:
            if not self._running and not self._arrived:
                self._change.wait_for(lambda: self._arrived or self._stopping)
                # A lone client would wait in vain, so only after a shared pass is company waited for.
                if in_company and not self._stopping:
                    self._wait_for_company()
            self._running.extend(map(self._arrive, self._arrived))
            self._arrived.clear()
            self._running = [job for job in self._running if not job.abandoned]
            return not self._stopping

    def _wait_for_company(self) -> None:
        until = time.monotonic() + COMPANY_SECONDS
        while not self._stopping and (left := until - time.monotonic()) > 0:
            self._change.wait(left)

    def _arrive(self, job: Job) -> Job:
        self._clock += 1
        job.since = self._clock
        return job

    def _advance(self, jobs: list[Job]) -> None:
        try:
            tokens = self._engine.advance(jobs[0].weights, jobs)
        except Exception as error:
            if len(jobs) == 1:
                log.exception("a request failed")
                self._end(jobs[0], error)
            else:  # which of them was it? Each alone.
                for job in jobs:
                    self._advance([job])
            return
        for job, token in zip(jobs, tokens, strict=True):
            job.tokens.append(token)
            self._arrive(job)
            if (answer := self._engine.ending(job)) is not None:
                self._end(job, answer)

    def _end(self, job: Job, outcome: Answer | Exception) -> None:
        with self._change:
            self._running.remove(job)
        try:
            if isinstance(outcome, Exception):
                job.answer.set_exception(outcome)
            else:
                job.answer.set_result(outcome)
        except InvalidStateError:  # cancelled meanwhile
            return
