"""What was done, as rows of the Audit page; pure."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from shared.access.told_refusals import REFUSED


class Audited(BaseModel):
    """One row of the audit log, as `workloads` tells it."""

    principal: str
    verb: str | None
    method: str
    path: str
    about: str = ""
    status: int
    address: str
    count: int
    at: datetime

    @property
    def outcome(self) -> str:
        """In words: what the status means to who looks for what was done."""
        if self.status < 400:
            return "done"
        if self.status in REFUSED:
            return "refused" if self.count == 1 else f"refused {self.count:,} times"
        return "failed" if self.status >= 500 else "declined"
