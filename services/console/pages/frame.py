"""What every page shares: the header with its links and workloads, and the credit line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from markupsafe import Markup
from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from services.console.parts import Parts
from services.console.templating import Render
from shared.access.principal import Principal
from shared.access.roles import Verb
from shared.workload import Workload

NOTHING = Markup("")
PAGES = (("Loop", "/"), ("Review", "/review"), ("Candidates", "/candidates"))
AUDIT = "Audit"
OF_ALL = ((AUDIT, "/audit-log"),)
"""Of no workload: for who may see all of them, and the log."""


def chosen(parts: Parts, name: str) -> Workload | None:
    """The workload named in the address, else the first by name; None while there is none."""
    shown = parts.shown()
    return next((one for one in shown if one.name == name), shown[0] if shown else None)


def links_of(visitor: Principal) -> tuple[tuple[str, str], ...]:
    """The pages that open for this visitor, each with its address."""
    may_audit = visitor.may(Verb.AUDIT) and visitor.workloads is None
    return PAGES + OF_ALL if may_audit else PAGES


def who_is(visitor: Principal, name: str) -> str:
    """As the pages' head says it; "" where nobody signs in."""
    return "" if visitor.is_local else f"{name or visitor.id} · {visitor.role}"


@contextmanager
def frame(parts: Parts, render: Render, here: str, workload: Workload | None) -> Iterator[None]:
    """The page's main part is what is made inside."""
    ui.page_title(f"{here} · {workload.title if workload else 'no workload'} · tuneloop")
    names = [one.name for one in parts.shown()]
    name = workload.name if workload else ""
    query = f"?workload={name}" if len(names) > 1 else ""
    with ui.element("div").classes("shell"):
        markup(
            render(
                "header.html",
                here=here,
                pages=links_of(parts.visitor),
                workloads=names,
                workload=name,
                query=query,
                who=who_is(parts.visitor, parts.name),
            ),
            "header",
            "top",
        )
        with ui.element("main").props("id=content"):
            yield
        if workload is not None and workload.credit:
            ui.label(workload.credit).classes("foot").props("role=contentinfo")


class MarkupElement(ui.html):
    """The one element that takes markup: our own, and of templates, which escape what goes into them."""

    def __init__(self, content: Markup, tag: str) -> None:
        super().__init__(content, sanitize=False, tag=tag)

    def show(self, content: Markup) -> None:
        self.set_content(content)


def markup(content: Markup = NOTHING, tag: str = "div", classes: str = "") -> MarkupElement:
    return MarkupElement(content, tag).classes(classes)


def text(words: str, tag: str) -> TextElement:
    """Words as they are, whoever wrote them: `<` and `&` are characters."""
    return TextElement(tag=tag, text=words)


def push(words: str, *, key: str = "", main: bool = False) -> ui.element:
    """A plain button in our own dress; `key` is the one on the keyboard that does the same."""
    button = ui.element("button").classes("push main" if main else "push").props("type=button")
    with button:
        if key:
            text(key, "kbd")
        text(words, "span")
    return button
