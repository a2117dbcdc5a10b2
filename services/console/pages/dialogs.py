"""What one can ask of the loop from its first page, each with a name and a reason."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from services.console.figures import count
from services.console.pages.frame import push, text
from services.console.pages.reviewer_name import remember_name, remembered_name
from services.console.parts import Parts
from shared.access.principal import Principal
from shared.service_client import ServiceAway, ServiceRefused


async def ask_for_cycle(parts: Parts, workload: str) -> None:
    async def start(name: str, reason: str) -> str:
        failures, corrections = await parts.commands.start_cycle(workload, name, reason)
        return f"A cycle starts with {count(failures, 'failure')} and {count(corrections, 'correction')}."

    await _ask(
        "Start a cycle",
        "It gathers the failures up to now, makes a dataset of the corrections, and trains a candidate. "
        "Users notice nothing unless the evidence promotes it.",
        "Start",
        start,
        parts.visitor,
    )


async def ask_for_rollback(parts: Parts, workload: str) -> None:
    async def roll_back(name: str, reason: str) -> str:
        await parts.commands.roll_back(workload, name, reason)
        return "Asked for. The previous champion answers in a moment."

    await _ask(
        "Roll back to the previous champion",
        "Users get the previous champion's answers from the next request on.",
        "Roll back",
        roll_back,
        parts.visitor,
    )


async def ask_to_cancel(parts: Parts, run_id: str) -> None:
    async def cancel(name: str, reason: str) -> str:
        await parts.commands.cancel(run_id, name, reason)
        return "Asked for. The run ends in a moment."

    await _ask(
        "Cancel this run",
        "Its training or evaluation stops, and nothing of it is kept. The champion goes on answering.",
        "Cancel the run",
        cancel,
        parts.visitor,
    )


async def ask_for_retirement(parts: Parts, workload: str) -> None:
    async def retire(name: str, reason: str) -> str:
        await parts.commands.retire(workload, name, reason)
        return f"{workload} is retired. Adding it again brings it back."

    await _ask(
        f"Retire {workload}",
        "The gateway stops answering for it, nothing more is reviewed or trained, and it is listed no more. "
        "Its data are kept; adding it again brings it back.",
        "Retire",
        retire,
        parts.visitor,
    )


async def _ask(
    title: str, explanation: str, verb: str, do: Callable[[str, str], Awaitable[str]], visitor: Principal
) -> None:
    """`do` gives the sentence that says what was done."""
    name = await remembered_name() if visitor.is_local else visitor.id
    with ui.dialog(value=True) as dialog, ui.card().classes("sheet"):
        text(title, "h2")
        ui.label(explanation).classes("quiet")
        who = ui.input("Your name", value=name).props("outlined dense").classes("field")
        who.set_visibility(visitor.is_local)
        why = ui.input("Why").props("outlined dense autofocus").classes("field")
        trouble = ui.label("").props("role=alert").classes("quiet")

        async def submit() -> None:
            given_name, reason = str(who.value or "").strip(), str(why.value or "").strip()
            if not given_name or not reason:
                trouble.set_text("Both are kept with what follows: give a name and a reason.")
                return
            if visitor.is_local:
                remember_name(given_name)
            try:
                done = await do(given_name[:200], reason[:200])
            except (ServiceAway, ServiceRefused) as why_not:
                trouble.set_text(str(why_not))
                return
            ui.notify(done, position="top")
            dialog.close()

        why.on("keydown.enter", submit)
        with ui.element("div").classes("row"):
            push(verb, main=True).on("click", submit)
            push("Leave it").on("click", dialog.close)
    dialog.on("hide", dialog.delete)
