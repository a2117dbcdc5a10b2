"""How far an evaluation is, for people to see."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from shared.events import now
from shared.job_protocol import JobProgress, Report

ANSWERS_PER_PROGRESS = 50


@dataclass
class Count:
    """Answers so far, said every fifty, at the end, and when the model server is or was waited for."""

    total: int
    report: Report
    done: int = field(default=0)
    waits_since: datetime | None = None

    def start_again(self, total: int) -> None:
        self.done, self.total = 0, total

    def one_more(self) -> None:
        self.done += 1
        if self.waits_since or self.done % ANSWERS_PER_PROGRESS == 0 or self.done == self.total:
            self.waits_since = None
            self.report(JobProgress(phase="evaluation", done=self.done, total=self.total))

    def waits(self, why: str) -> None:
        since = self.waits_since = self.waits_since or now()
        self.report(
            JobProgress(
                phase="evaluation", done=self.done, total=self.total, waits_since=since, waits_for=why
            )
        )
