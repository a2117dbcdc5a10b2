"""The two things one can ask of the loop from its first page, each with a name and a reason."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from services.console.commands import Commands
from services.console.pages.frame import push
from services.console.pages.reviewer_name import remember_name, remembered_name


async def ask_for_cycle(commands: Commands, workload: str) -> None:
    async def start(name: str, reason: str) -> None:
        await commands.start_cycle(workload, name, reason)
        ui.notify("A cycle starts. Its stages show here by themselves.", position="top")

    await _ask(
        "Start a cycle",
        "It gathers the failures up to now, makes a dataset of the corrections, and trains a candidate. "
        "Users notice nothing unless the evidence promotes it.",
        "Start",
        start,
    )


async def ask_for_rollback(commands: Commands, workload: str) -> None:
    async def roll_back(name: str, reason: str) -> None:
        await commands.roll_back(workload, name, reason)
        ui.notify("Asked for. The previous champion answers in a moment.", position="top")

    await _ask(
        "Roll back to the previous champion",
        "Users get the previous champion's answers from the next request on.",
        "Roll back",
        roll_back,
    )


async def _ask(title: str, explanation: str, verb: str, do: Callable[[str, str], Awaitable[None]]) -> None:
    name = await remembered_name()
    with ui.dialog(value=True) as dialog, ui.card().classes("sheet"):
        ui.html(title, tag="h2", sanitize=True)
        ui.label(explanation).classes("quiet")
        who = ui.input("Your name", value=name).props("outlined dense").classes("field")
        why = ui.input("Why").props("outlined dense autofocus").classes("field")
        trouble = ui.label("").props("role=alert").classes("quiet")

        async def submit() -> None:
            given_name, reason = str(who.value or "").strip(), str(why.value or "").strip()
            if not given_name or not reason:
                trouble.set_text("Both are kept with what follows: give a name and a reason.")
                return
            remember_name(given_name)
            await do(given_name[:200], reason[:200])
            dialog.close()

        why.on("keydown.enter", submit)
        with ui.element("div").classes("row"):
            push(verb, main=True).on("click", submit)
            push("Cancel").on("click", dialog.close)
    dialog.on("hide", dialog.delete)
