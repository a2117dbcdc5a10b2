"""Follows a round to its end over HTTP, however often the services are restarted meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from deploy.installation import Installation
from deploy.stages import Stage, Stages
from deploy.workloads_client import Round, WorkloadsClient
from shared.service_client import ServiceAway, ServiceRefused
from shared.time_left import time_left

WAIT_SECONDS = 25  # one long poll
PAUSE_SECONDS = 1.0
PATIENCE_SECONDS = 300.0  # for services that are being restarted


@dataclass
class Follower:
    """Follows one round, to its end or to a stage that is far enough. It remembers where that stood, for
    whoever stops waiting for it.
    """

    end_at: Collection[str] = ()
    """Stages at whose beginning nothing is waited for any more."""
    workload: str = ""
    round: Round | None = None
    review_page: str = ""

    async def follow(
        self, workloads: WorkloadsClient, where: Installation, workload: str, round_id: str, stages: Stages
    ) -> Round:
        """The round, once it is over or far enough. Each of its stages is one line.

        Raises ServiceRefused if there is no such round, ServiceAway if nobody answers at first or for long.
        """
        self.workload, self.review_page = workload, where.review_page(workload)
        round_ = self.round = await workloads.round(workload, round_id)
        while not round_.is_over and round_.stage not in self.end_at:
            with stages.stage(round_.stage, round_.sentence) as stage:
                here = round_.stage
                if here == "shadow":
                    said = f"Reviews decide: {self.review_page}. Ctrl-C leaves; it goes on by itself."
                    stages.console.print(said, soft_wrap=True, highlight=False, markup=False)
                while round_.stage == here and not round_.is_over:
                    show(stage, round_)
                    stage.sentence = round_.sentence
                    round_ = self.round = await self._next(workloads, round_, stage)
        return round_

    async def _next(self, workloads: WorkloadsClient, round_: Round, stage: Stage) -> Round:
        """The round when it changed or a while has passed; services that are away are asked again."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return await workloads.round(
                    self.workload, round_.round_id, after=round_.version, wait=WAIT_SECONDS
                )
            except (ServiceAway, ServiceRefused) as error:
                # One that has just started does not know its workloads yet: 404.
                is_for_now = isinstance(error, ServiceAway) or error.is_for_now or error.status == 404
                if not is_for_now or time.monotonic() > until:
                    raise
                stage.show("the services do not answer; asked again until they do")
                await asyncio.sleep(PAUSE_SECONDS)


def show(stage: Stage, round_: Round) -> None:
    words = with_times(round_.sentence, round_.seconds_left, round_.waits_since)
    stage.show(words, round_.done if round_.total else None, round_.total or None)


def with_times(sentence: str, seconds: float | None, waits_since: datetime | None) -> str:
    """ "evaluation, answer 3 of 9 · 2 min left"; the sentence alone while that is not known. Of what stands
    still, since when.
    """
    since = f"since {waits_since.astimezone():%Y-%m-%d %H:%M}" if waits_since else ""
    return " · ".join(filter(None, (sentence, time_left(seconds), since)))
