"""One run: how far it is, how it was trained, its scorecard by axis and by label, its gates, its chain."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial

from nicegui import ui

from services.console.candidates import candidate_rows
from services.console.lineage import Origin, chain, confusions, label_bars
from services.console.pages.dialogs import ask_to_cancel
from services.console.pages.frame import frame, markup, push
from services.console.parts import Parts
from services.console.run_figures import run_figures
from services.console.templating import Render
from services.console.views import TablesDoNotAnswer
from shared.workload import Workload

SOONEST, LATEST = timedelta(seconds=2), timedelta(seconds=15)
log = logging.getLogger(__name__)


class CandidatePage:
    def __init__(self, parts: Parts, render: Render, workload: Workload, run_id: str) -> None:
        self._parts, self._render, self._workload, self._run_id = parts, render, workload, run_id
        self._seen = -1
        self._read_at: datetime | None = None

    async def build(self) -> None:
        with frame(self._parts, self._render, "Candidates", self._workload):
            self._trouble = ui.label("The tables do not answer. This page tries again every few seconds.")
            self._trouble.classes("banner").props("role=alert")
            self._progress = markup()
            self._cancel = push("Cancel this run")
            self._cancel.on("click", partial(ask_to_cancel, self._parts, self._run_id))
            self._content = markup(classes="detail")
        self._cancel.set_visibility(False)
        await self._refresh()
        ui.timer(1.0, self._refresh)

    async def _refresh(self) -> None:
        now, feed = self._parts.clock(), self._parts.feed
        progress = feed.progress(self._workload.name)
        is_this = progress is not None and progress.run_id == self._run_id
        self._progress.show(self._render("progress.html", progress=progress if is_this else None))
        age = now - self._read_at if self._read_at else LATEST
        if age < SOONEST or (feed.turns == self._seen and age < LATEST):
            return
        self._read_at, self._seen = now, feed.turns
        try:
            await self._draw()
        except TablesDoNotAnswer as away:
            log.warning("a candidate's page shows old figures: %s", away)
            self._trouble.set_visibility(True)
        else:
            self._trouble.set_visibility(False)

    async def _draw(self) -> None:
        now, run_id = await self._parts.snapshot(self._workload), self._run_id
        row = next((row for row in candidate_rows(now) if row.run_id == run_id), None)
        if row is None:
            self._content.show(self._render("unknown.html", workload=self._workload.name))
            return
        run = next((one for one in now.runs if one.run_id == run_id), None)
        scored = next((one for one in now.evaluations if one.run_id == run_id), None)
        judged = next((one for one in now.verdicts if one.run_id == run_id), None)
        card, figures = scored.scorecard if scored else None, run_figures(run) if run else None
        self._cancel.set_visibility(figures is not None and figures.is_under_way)
        content = self._render(
            "candidate.html",
            workload=self._workload.name,
            row=row,
            figures=figures,
            card=card,
            guardrails=judged.guardrails if judged else [],
            bars=label_bars(card.labels) if card else [],
            confusions=confusions(card) if card else [],
            links=chain(now, run_id, await self._origin(row.cycle_id)),
        )
        self._content.show(content)

    async def _origin(self, cycle_id: str) -> Origin:
        store, name = self._parts.store, self._workload.name
        cycle = await store.cycles.cycle(name, cycle_id)
        if cycle is None:
            return Origin(None, [], 0)
        clusters = await store.cycles.clusters_of(name, cycle_id)
        return Origin(cycle, clusters, await store.cycles.corrections_until(name, cycle.cutoff))
