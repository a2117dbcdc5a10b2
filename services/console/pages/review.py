"""The page of reviews: one item at a time, its labels on keys, the next one already here."""

from __future__ import annotations

import asyncio
import logging
import time

from markupsafe import Markup
from nicegui import ui
from nicegui.events import KeyEventArguments

from services.console.figures import count
from services.console.pages.frame import frame, markup, push, text
from services.console.pages.label_picker import Choosing
from services.console.pages.reviewer_name import MOST_SAID, remember_name, remembered_name
from services.console.parts import Parts
from services.console.review_session import ReviewSession
from services.console.reviewing import FIND, SKIP, UNDO, choices, is_blind
from services.console.templating import Render
from shared.service_client import ServiceAway, ServiceRefused
from shared.workload import Workload

ONE_MOMENT = Markup('<div class="card empty quiet">One moment …</div>')
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
    """One reviewer at one browser. Reviews are given at once; undo brings an item back for another answer."""

    def __init__(self, parts: Parts, render: Render, workload: Workload) -> None:
        self._parts, self._render, self._workload = parts, render, workload
        self._session: ReviewSession | None = None
        self._is_busy = False
        self._shown = ""
        """The prediction on the page; empty when there is none."""
        self._said = ""
        self._drawn_at = 0.0

    async def build(self) -> None:
        with frame(self._parts, self._render, "Review", self._workload):
            with ui.element("div").classes("title"):
                text(self._workload.title, "h1")
                self._who = ui.element("div").classes("row")
            self._trouble = ui.label("").classes("banner").props("role=alert")
            self._trouble.set_visibility(False)
            self._place = ui.element("div")
        with self._place:
            markup(ONE_MOMENT)
        await ui.context.client.connected()
        ui.keyboard(self._on_key, ignore=["input", "select", "textarea"], repeating=False)
        ui.timer(LOOK_AGAIN_SECONDS, self._look_again)
        visitor = self._parts.visitor
        name = await remembered_name() if visitor.is_local else visitor.id
        if name:
            await self._sit_down(name)
        else:
            self._ask_name()

    def _ask_name(self) -> None:
        self._session = None
        self._who.clear()
        self._place.clear()
        with self._place, ui.element("div").classes("card empty"):
            text("Who reviews?", "h2")
            ui.label("Your name is kept with every review, so that two opinions can be told apart.")
            field = ui.input("Your name").props("outlined dense autofocus").classes("field")

            async def start() -> None:
                name = str(field.value or "").strip()[:MOST_SAID]
                if name:
                    remember_name(name)
                    await self._sit_down(name)

            field.on("keydown.enter", start)
            push("Start", main=True).on("click", start)

    async def _sit_down(self, name: str) -> None:
        parts = self._parts
        self._session = ReviewSession(parts.reviews, parts.clock, self._workload.name, name)
        self._who.clear()
        with self._who:
            ui.label(f"Reviewing as {name}").classes("quiet")
            if parts.visitor.is_local:
                push("Change").on("click", self._ask_name)
        self._place.clear()
        with self._place:
            self._choosing = Choosing(self._answer, self._undo, self._skip)
        await self._show_next("")

    async def _show_next(self, said: str) -> None:
        """Draws the item that is already here, or else the first that comes; then fills what waits."""
        self._said, self._shown = said, ""
        if self._session is not None and self._session.sitting.item is not None:
            self._draw(said)
        await self._fetch()
        if not self._shown:
            self._draw(said)

    async def _fetch(self) -> None:
        """Fills what waits behind the item on the page; an empty page shows the first that comes, at once."""
        session = self._session
        if session is None:
            return
        try:
            while await session.fetch():
                if not self._shown:
                    self._draw(self._said)
        except ServiceAway as away:
            log.warning("no items for the Review page: %s", away)
            self._complain("The review queue does not answer. New items come as soon as it does.")
        except ServiceRefused as refused:
            self._complain(str(refused))
        else:
            self._trouble.set_visibility(False)

    async def _look_again(self) -> None:
        """An empty queue fills by itself, and what was looked at for too long goes back to it."""
        session = self._session
        if session is None or self._is_busy:
            return
        self._is_busy = True  # no key may judge what is being replaced
        try:
            gone = session.let_go()
            if gone is None and session.sitting.item is not None:
                return
            await self._fetch()
        finally:
            self._is_busy = False
        if gone is not None and (item := session.sitting.item) and item.prediction_id == gone.prediction_id:
            return
        if gone is not None:
            self._draw("That text is somebody else's now: it was kept for you for as long as it can be.")

    def _draw(self, said: str = "") -> None:
        if self._session is None:
            return
        sitting = self._session.sitting
        item = sitting.item
        self._drawn_at, self._said = time.monotonic(), said
        self._shown = item.prediction_id if item else ""
        done = f"{count(sitting.given, 'review')} given" + (
            f", {sitting.skipped} skipped" if sitting.skipped else ""
        )
        if item is None:
            self._choosing.show_nothing(said, done)
            return
        shown = self._render("item.html", item=item, why=WHY.get(item.kind, "Flagged"))
        self._choosing.show(shown, choices(item), is_blind(item), said, done)

    async def _answer(self, label: str) -> None:
        session = self._session
        if session is None or session.sitting.item is None or self._is_busy:
            return
        self._is_busy = True
        try:
            await self._kept_in_time(session, label)
        except ServiceAway as away:
            log.warning("a review was not kept: %s", away)
            self._complain("That review was not kept: the review queue does not answer. Press the key again.")
            return
        except ServiceRefused as refused:
            what_to_do = " Press the key again." if refused.is_for_now else ""
            self._complain(f"That review was not kept. {refused}{what_to_do}")
            return
        finally:
            self._is_busy = False
        self._trouble.set_visibility(False)
        await self._show_next(f"Kept: {label}.")

    async def _kept_in_time(self, session: ReviewSession, label: str) -> None:
        keeping = asyncio.ensure_future(session.answer(label))
        _, unfinished = await asyncio.wait({keeping}, timeout=PATIENCE_SECONDS)
        if unfinished:
            self._complain("This review is not confirmed yet. Wait a moment.")
        await keeping

    def _undo(self) -> None:
        if self._session is not None and not self._is_busy:
            answer = self._session.sitting.undo()
            self._draw(f"You said {answer}. Answer again to replace it." if answer else "Nothing to undo.")

    async def _skip(self) -> None:
        if self._session is not None and self._session.sitting.item is not None and not self._is_busy:
            self._session.sitting.skip()
            await self._show_next("Skipped. It stays in the queue for others.")

    async def _on_key(self, event: KeyEventArguments) -> None:
        modifiers = event.modifiers
        if (
            self._session is None
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
