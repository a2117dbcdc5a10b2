"""Follows the loop to a given event, as the demo does; progress of training shows on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from deploy.demo.watch import Watch
from deploy.expected_error import ExpectedError
from deploy.stages import Stage
from shared.events import DatasetRefused, Event, TrainingFailed, TrainingProgressed

E = TypeVar("E", bound=Event)


class LoopStopped(ExpectedError):
    """The loop ended early: what happened and what to do."""


async def follow_to(
    kind: type[E], watch: Watch, stage: Stage, workload: str, when: Callable[[E], bool] = lambda _: True
) -> E:
    """The next event of this kind and workload for which `when` holds.

    Raises LoopStopped if an event says instead that no dataset came of the cycle or that training failed.
    """

    def is_it(event: Event) -> bool:
        if getattr(event, "workload", None) != workload:
            return False
        return when(event) if isinstance(event, kind) else event.happened_at() >= watch.since

    waiting = asyncio.create_task(watch.first(kind, TrainingFailed, DatasetRefused, when=is_it))
    try:
        while not waiting.done():
            progress = [event for event in watch.seen(TrainingProgressed) if event.workload == workload]
            if progress:
                last = progress[-1]
                loss = f", loss {last.loss:.2f}" if last.loss is not None else ""
                stage.show(f"{last.phase} {last.done} of {last.total}{loss}", last.done, last.total)
            await asyncio.wait({waiting}, timeout=0.5)
    finally:
        waiting.cancel()
    event = waiting.result()
    if isinstance(event, TrainingFailed | DatasetRefused):
        raise LoopStopped(f"{workload}: {event.reason}")
    assert isinstance(event, kind)
    return event
