"""One candidate: its scorecard by axis and by label, its gates, and the chain behind it."""

from __future__ import annotations

from nicegui import ui

from services.console.candidates import candidate_rows
from services.console.lineage import Origin, chain, confusions, label_bars
from services.console.pages.frame import frame, markup
from services.console.parts import Parts
from services.console.templating import Render
from services.console.views import TablesDoNotAnswer
from shared.workload import Workload


async def show_candidate(parts: Parts, render: Render, workload: Workload, run_id: str) -> None:
    with frame(parts, render, "Candidates", workload):
        try:
            content = await _content(parts, render, workload, run_id)
        except TablesDoNotAnswer:
            ui.label("The tables do not answer. Load this page again in a moment.").classes("banner")
        else:
            markup(content, classes="detail")


async def _content(parts: Parts, render: Render, workload: Workload, run_id: str) -> str:
    now = await parts.snapshot(workload)
    row = next((row for row in candidate_rows(now) if row.run_id == run_id), None)
    if row is None:
        return render("unknown.html", workload=workload.name)
    scored = next((one for one in now.evaluations if one.run_id == run_id), None)
    judged = next((one for one in now.verdicts if one.run_id == run_id), None)
    card = scored.scorecard if scored else None
    origin = await _origin(parts, workload.name, row.cycle_id)
    return render(
        "candidate.html",
        workload=workload.name,
        row=row,
        card=card,
        guardrails=judged.guardrails if judged else [],
        bars=label_bars(card.labels) if card else [],
        confusions=confusions(card) if card else [],
        links=chain(now, run_id, origin),
    )


async def _origin(parts: Parts, workload: str, cycle_id: str) -> Origin:
    cycle = await parts.store.cycle(workload, cycle_id)
    if cycle is None:
        return Origin(None, [], 0)
    clusters = await parts.store.clusters_of(workload, cycle_id)
    return Origin(cycle, clusters, await parts.store.corrections_until(workload, cycle.cutoff))
