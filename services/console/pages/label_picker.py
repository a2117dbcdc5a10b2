"""The review page's bench: the text beside its labels, each a button with its key and the model's doubt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from markupsafe import Markup
from nicegui import ui

from services.console.figures import percent
from services.console.pages.frame import markup, push, text
from services.console.reviewing import Choice, found

MOST_SHOWN = 40  # buttons; more labels than that are found by typing
FIND_FROM = 10  # labels
NOTHING = Markup(
    '<div class="card empty"><h2>Nothing to review</h2><p class="quiet">Answers that the model doubted, '
    "that users disliked, or that were drawn at random come here by themselves.</p></div>"
)


class Choosing:
    def __init__(
        self,
        answer: Callable[[str], Awaitable[None]],
        undo: Callable[[], None],
        skip: Callable[[], Awaitable[None]],
    ) -> None:
        self._answer = answer
        self._offered: Sequence[Choice] = ()
        self._is_pair = False
        with ui.element("div").classes("review"):
            self._text = markup()
            with ui.element("div").classes("choices"):
                self._find = ui.element("input").classes("find")
                self._find.props('type=search placeholder="/ to find a label" aria-label="Find a label"')
                self._find.on("input", self._on_typed, js_handler="(e) => emit(e.target.value)")
                self._find.on("keydown.enter", self._on_enter, js_handler="(e) => emit(e.target.value)")
                self._find.on("keydown.escape", js_handler="(e) => e.target.blur()")
                self._list = ui.element("div").classes("choices").props('role=group aria-label="Labels"')
                with ui.element("div").classes("bench"):
                    with ui.element("div").classes("row"):
                        push("undo", key="u").on("click", undo)
                        push("skip", key="s").on("click", skip)
                    self._done = ui.label("").classes("quiet")
                self._said = ui.label("").classes("said quiet").props("role=status aria-live=polite")

    def show(self, item: Markup, offered: Sequence[Choice], is_pair: bool, said: str, done: str) -> None:
        self._text.show(item)
        self._offered, self._is_pair = offered, is_pair
        self._find.set_visibility(len(offered) >= FIND_FROM)
        self._find.run_method("blur")
        self._find.client.run_javascript(f"document.getElementById('c{self._find.id}').value = ''")
        self._note(said, done)
        self._draw(offered)

    def show_nothing(self, said: str, done: str) -> None:
        self._offered = ()
        self._text.show(NOTHING)
        self._find.set_visibility(False)
        self._note(said, done)
        self._list.clear()

    def label_on(self, key: str) -> str | None:
        return next((choice.label for choice in self._offered if choice.key and choice.key == key), None)

    def focus_find(self) -> None:
        self._find.client.run_javascript(f"document.getElementById('c{self._find.id}').focus()")

    def _note(self, said: str, done: str) -> None:
        self._said.set_text(said)
        self._done.set_text(done)

    def _draw(self, shown: Sequence[Choice]) -> None:
        self._list.clear()
        with self._list:
            for index, choice in enumerate(shown[:MOST_SHOWN]):
                is_pair = self._is_pair and shown is self._offered
                if is_pair and index == 2:
                    ui.label("Neither:").classes("quiet")
                self._button(choice, is_option=is_pair and index < 2)
            if len(shown) > MOST_SHOWN:
                ui.label(f"{len(shown) - MOST_SHOWN} more: press / and type").classes("quiet")

    def _button(self, choice: Choice, is_option: bool) -> None:
        dress = "choice" + (" answer" if choice.is_answer else "") + (" option" if is_option else "")
        button = ui.element("button").classes(dress).props("type=button")
        button.on("click", lambda: self._answer(choice.label))
        with button:
            text(choice.key, "kbd").props('aria-hidden="true"')
            ui.label(choice.label).classes("label")
            if choice.share is not None:
                sign = "◆ model: " if choice.is_answer else ""
                ui.label(f"{sign}{percent(choice.share)}").classes("share")
                markup(Markup('<i style="width:{:.1f}%"></i>').format(100 * choice.share), classes="bar")
            elif choice.is_answer:
                ui.label("◆ model").classes("share")

    def _on_typed(self, event: object) -> None:
        self._draw(found(self._offered, str(getattr(event, "args", ""))))

    async def _on_enter(self, event: object) -> None:
        hits = found(self._offered, str(getattr(event, "args", "")))
        if hits:
            await self._answer(hits[0].label)
