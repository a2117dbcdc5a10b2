"""The page of reviews: one item at a time, its labels on keys, the next one already here."""

from __future__ import annotations

import asyncio
import logging
import time

from nicegui import ui
from nicegui.events import KeyEventArguments

from services.console.commands import Commands
from services.console.figures import count
from services.console.pages.frame import frame, markup, push
from services.console.pages.label_picker import Choosing
from services.console.pages.reviewer_name import remember_name, remembered_name
from services.console.reviewing import FIND, SKIP, UNDO, Sitting, choices, is_blind
from services.console.templating import Render
from services.console.views import TablesDoNotAnswer
from shared.workload import Workload

FETCHED = 10
LOOK_AGAIN_SECONDS = 3.0
PATIENCE_SECONDS = 1.5  # then the reviewer learns what is being waited for
TOO_SOON_SECONDS = 0.2  # a key pressed twice must not judge the next text, which nobody can have read
WHY = {
    "pair": "Two models answered differently. Which is right?",
    "disliked": "A user disliked this answer",
    "doubted": "The model doubted this answer",
    "audit": "Drawn at random",
}
log = logging.getLogger(__name__)


class ReviewPage:
    """One reviewer at one browser. Reviews are said at once; undo brings an item back for another answer."""

    def __init__(self, commands: Commands, render: Render, workload: Workload) -> None:
        self._commands, self._render, self._workload = commands, render, workload
        self._sitting: Sitting | None = None
        self._is_busy = False
        self._drawn_at = 0.0

    async def build(self) -> None:
        with frame(self._commands, self._render, "Review", self._workload):
            with ui.element("div").classes("title"):
                ui.html(self._workload.title, tag="h1", sanitize=True)
                self._who = ui.element("div").classes("row")
            self._trouble = ui.label("").classes("banner").props("role=alert")
            self._trouble.set_visibility(False)
            self._place = ui.element("div")
        with self._place:
            markup('<div class="card empty quiet">One moment …</div>')
        await ui.context.client.connected()
        ui.keyboard(self._on_key, ignore=["input", "select", "textarea"], repeating=False)
        ui.timer(LOOK_AGAIN_SECONDS, self._look_again)
        name = await remembered_name()
        if name:
            await self._sit_down(name)
        else:
            self._ask_name()

    def _ask_name(self) -> None:
        self._sitting = None
        self._who.clear()
        self._place.clear()
        with self._place, ui.element("div").classes("card empty"):
            ui.html("Who reviews?", tag="h2", sanitize=True)
            ui.label("Your name is kept with every review, so that two opinions can be told apart.")
            field = ui.input("Your name").props("outlined dense autofocus").classes("field")

            async def start() -> None:
                name = str(field.value or "").strip()[:200]
                if name:
                    remember_name(name)
                    await self._sit_down(name)

            field.on("keydown.enter", start)
            push("Start", main=True).on("click", start)

    async def _sit_down(self, name: str) -> None:
        self._sitting = Sitting(name)
        self._who.clear()
        with self._who:
            ui.label(f"Reviewing as {name}").classes("quiet")
            push("Change").on("click", self._ask_name)
        self._place.clear()
        with self._place:
            self._choosing = Choosing(self._answer, self._undo, self._skip)
        await self._fetch()
        self._draw()

    async def _fetch(self) -> None:
        sitting = self._sitting
        if sitting is None or not sitting.wants_more:
            return
        try:
            items = await self._commands.store.to_review(
                self._workload.name, sitting.reviewer, sitting.past(), FETCHED
            )
        except TablesDoNotAnswer as away:
            log.warning("no items for the Review page: %s", away)
            self._complain("The tables do not answer. New items come as soon as they do.")
        else:
            self._trouble.set_visibility(False)
            sitting.offer(items)

    async def _look_again(self) -> None:
        """An empty queue fills by itself."""
        if self._sitting is not None and self._sitting.item is None and not self._is_busy:
            await self._fetch()
            if self._sitting.item is not None:
                self._draw()

    def _draw(self, said: str = "") -> None:
        sitting = self._sitting
        if sitting is None:
            return
        item = sitting.item
        self._drawn_at = time.monotonic()
        done = f"{count(sitting.given, 'review')} given" + (
            f", {sitting.skipped} skipped" if sitting.skipped else ""
        )
        if item is None:
            self._choosing.show_nothing(said, done)
            return
        text = self._render("item.html", item=item, why=WHY.get(item.kind, "Flagged"))
        self._choosing.show(text, choices(item, self._workload.labels), is_blind(item), said, done)

    async def _answer(self, label: str) -> None:
        sitting = self._sitting
        if sitting is None or sitting.item is None or self._is_busy:
            return
        self._is_busy = True
        try:
            await self._publish_in_time(sitting, sitting.item.prediction_id, label)
        except Exception:  # whatever the broker raises: the reviewer must learn that nothing was kept
            log.exception("a review was not published")
            self._complain("That review was not kept: the broker did not take it. Press the key again.")
            return
        finally:
            self._is_busy = False
        self._trouble.set_visibility(False)
        sitting.answer(label)
        self._draw(f"Kept: {label}.")
        was_last = sitting.item is None
        await self._fetch()
        if was_last:
            self._draw(f"Kept: {label}.")

    async def _publish_in_time(self, sitting: Sitting, prediction_id: str, label: str) -> None:
        review = self._commands.review(self._workload.name, prediction_id, sitting.reviewer, label)
        saying = asyncio.ensure_future(review)
        _, unfinished = await asyncio.wait({saying}, timeout=PATIENCE_SECONDS)
        if unfinished:
            self._complain("The broker has not confirmed this review yet. It is tried until it does.")
        await saying

    def _undo(self) -> None:
        if self._sitting is not None and not self._is_busy:
            answer = self._sitting.undo()
            self._draw(f"You said {answer}. Answer again to replace it." if answer else "Nothing to undo.")

    async def _skip(self) -> None:
        if self._sitting is not None and self._sitting.item is not None and not self._is_busy:
            self._sitting.skip()
            if self._sitting.item is None:
                await self._fetch()
            self._draw("Skipped. It stays in the queue for others.")
            await self._fetch()

    async def _on_key(self, event: KeyEventArguments) -> None:
        modifiers = event.modifiers
        if (
            self._sitting is None
            or not event.action.keydown
            or modifiers.ctrl
            or modifiers.alt
            or modifiers.meta
        ):
            return
        key = event.key.name
        if key == UNDO:
            self._undo()
        elif key == SKIP:
            await self._skip()
        elif key == FIND:
            self._choosing.focus_find()
        elif (label := self._choosing.label_on(key)) and time.monotonic() - self._drawn_at > TOO_SOON_SECONDS:
            await self._answer(label)

    def _complain(self, words: str) -> None:
        self._trouble.set_text(words)
        self._trouble.set_visibility(True)
