"""The page of candidates: one table, drawn again when something happened to one."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from nicegui import ui

from services.console.candidates import candidate_rows
from services.console.pages.frame import frame, markup, text
from services.console.parts import Parts
from services.console.templating import Render
from services.console.views import TablesDoNotAnswer
from shared.workload import Workload

SOONEST, LATEST = timedelta(seconds=2), timedelta(seconds=15)
log = logging.getLogger(__name__)


class CandidatesPage:
    def __init__(self, parts: Parts, render: Render, workload: Workload) -> None:
        self._parts, self._render, self._workload = parts, render, workload
        self._seen = -1
        self._read_at: datetime | None = None

    async def build(self) -> None:
        with frame(self._parts, self._render, "Candidates", self._workload):
            text("Candidates", "h1")
            self._trouble = ui.label("The tables do not answer. This page tries again every few seconds.")
            self._trouble.classes("banner").props("role=alert")
            self._table = markup()
        await self._refresh()
        ui.timer(1.0, self._refresh)

    async def _refresh(self) -> None:
        now = self._parts.clock()
        age = now - self._read_at if self._read_at else LATEST
        turns = self._parts.feed.turns
        if age < SOONEST or (turns == self._seen and age < LATEST):
            return
        self._read_at, self._seen = now, turns
        try:
            snapshot = await self._parts.snapshot(self._workload)
        except TablesDoNotAnswer as away:
            log.warning("the Candidates page shows old figures: %s", away)
            self._trouble.set_visibility(True)
            return
        self._trouble.set_visibility(False)
        rows = candidate_rows(snapshot, self._parts.feed.progress(self._workload.name))
        self._table.show(self._render("candidates.html", rows=rows, workload=self._workload.name))
