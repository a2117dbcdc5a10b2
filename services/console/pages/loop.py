"""The first page: the ring, the champion, the line over time, and what happens now."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial

from markupsafe import Markup
from nicegui import ui

from services.console.cycle_status import Round, Snapshot, Stage, in_words, stages
from services.console.event_sentences import Tone
from services.console.pages.dialogs import ask_for_cycle, ask_for_retirement, ask_for_rollback
from services.console.pages.frame import frame, markup, push, text
from services.console.parts import Parts
from services.console.ring import SIGNS, ring
from services.console.templating import Render
from services.console.timeline import bucket_width, chart, summary
from services.console.views import TablesDoNotAnswer
from shared.access.roles import Verb
from shared.service_client import ServiceAway, ServiceRefused
from shared.workload import Workload

MARKS = {Tone.NEUTRAL: "·", Tone.CHAMPION: "◆", Tone.CANDIDATE: "○", Tone.GOOD: "▲", Tone.ERROR: "!"}
WISHES = {"Start a cycle": ask_for_cycle, "Roll back": ask_for_rollback, "Retire": ask_for_retirement}
SHOWN_EVENTS = 30
WAITING_SECONDS = 30.0
LOOK_BACK = timedelta(days=28)
SOONEST, LATEST = timedelta(seconds=2), timedelta(seconds=15)  # between two readings of the tables
LINE_LATEST = timedelta(seconds=60)  # the line reads the counts of four weeks
log = logging.getLogger(__name__)


class LoopPage:
    """One browser's first page. It draws again what changed, and nothing else."""

    def __init__(self, parts: Parts, render: Render, workload: Workload) -> None:
        self._parts, self._render, self._workload = parts, render, workload
        self._seen = self._seen_turns = -1
        self._read_at: datetime | None = None
        self._line_at: datetime | None = None
        self._links = {
            Stage.REVIEW: f"/review?workload={workload.name}",
            Stage.EVALUATION: f"/candidates?workload={workload.name}",
            Stage.SHADOW: f"/candidates?workload={workload.name}",
            Stage.PROMOTION: f"/candidates?workload={workload.name}",
        }

    async def build(self) -> None:
        with frame(self._parts, self._render, "Loop", self._workload):
            with ui.element("div").classes("title"):
                text(self._workload.title, "h1")
                with ui.element("div").classes("row"):
                    may = self._parts.visitor.may(Verb.OPERATE, self._workload.name)
                    for words, ask in WISHES.items() if may else ():
                        push(words).on("click", partial(ask, self._parts, self._workload.name))
            self._trouble = ui.label("").classes("banner").props("role=alert")
            self._waiting = markup()
            self._progress = markup()
            self._board = markup(classes="board")
            with ui.element("section").classes("card").props('aria-label="Over time"'):
                text("Over the last 28 days", "h2")
                self._summary = ui.label("").classes("quiet")
                self._chart = ui.echart({}, renderer="svg").classes("chart")
            with ui.element("section").classes("card").props('aria-label="Latest events"'):
                text("Latest events", "h2")
                self._feed = markup()
        await self._refresh()
        ui.timer(1.0, self._refresh)
        ui.timer(WAITING_SECONDS, self._draw_waiting)  # by itself: Kafka is asked, which may take its time

    async def _refresh(self) -> None:
        now, feed = self._parts.clock(), self._parts.feed
        age = now - self._read_at if self._read_at else LATEST
        is_due = age >= LATEST or (feed.turns != self._seen_turns and age >= SOONEST)
        if feed.changes != self._seen or is_due:
            self._seen = feed.changes
            self._draw_live()
        if is_due:
            is_turn = feed.turns != self._seen_turns
            self._read_at, self._seen_turns = now, feed.turns
            try:
                await self._draw_board()
                if is_turn or self._line_at is None or now - self._line_at >= LINE_LATEST:
                    self._line_at = now
                    await self._draw_line(now)
            except (TablesDoNotAnswer, ServiceAway, ServiceRefused) as away:
                log.warning("the Loop page shows old figures: %s", away)
                who = "The tables do" if isinstance(away, TablesDoNotAnswer) else "The service workloads does"
                self._trouble.set_text(
                    f"{who} not answer. This page tries again every few seconds; what it shows may be old."
                )
                self._trouble.set_visibility(True)
            else:
                self._trouble.set_visibility(False)

    async def _draw_waiting(self) -> None:
        try:
            waiting = await self._parts.commands.waiting(self._parts.clock())
        except (ServiceAway, ServiceRefused) as away:
            log.warning("what waits is not known: %s", away)
        else:
            self._waiting.show(self._render("waiting.html", waiting=waiting))

    def _draw_live(self) -> None:
        entries = self._parts.feed.entries(self._workload.name, SHOWN_EVENTS)
        self._feed.show(self._render("feed.html", entries=entries, marks=MARKS))
        progress = self._parts.feed.progress(self._workload.name)
        self._progress.show(self._render("progress.html", progress=progress))

    async def _draw_board(self) -> None:
        snapshot = await self._parts.snapshot(self._workload)
        latest = await self._parts.commands.latest_round(self._workload.name)
        self._board.show(self._board_of(snapshot, latest))

    async def _draw_line(self, now: datetime) -> None:
        store, name = self._parts.store, self._workload.name
        span = await store.predictions.span(name, now - LOOK_BACK)
        self._chart.set_visibility(span is not None)
        if span is None:
            self._summary.set_text("The line begins with the first request that the gateway answers.")
            return
        buckets = await store.predictions.buckets(name, span[0], bucket_width(*span))
        revisions = await store.candidates.revisions(name)
        self._summary.set_text(summary(buckets, revisions))
        drawn = chart(buckets, revisions)
        if drawn != self._chart.options:
            self._chart.options.clear()
            self._chart.options.update(drawn)
            self._chart.update()

    def _board_of(self, snapshot: Snapshot, latest: Round | None) -> Markup:
        said = stages(snapshot, latest)
        return self._render(
            "loop.html",
            now=snapshot,
            accuracy=snapshot.champion_accuracy(),
            stages=said,
            ring=ring(said),
            signs=SIGNS,
            links=self._links,
            stage_words=in_words(latest),
        )
