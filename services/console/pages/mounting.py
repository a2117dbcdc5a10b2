"""Mounts the pages on the process's HTTP server."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from nicegui import app as nicegui_app
from nicegui import ui

from services.console.pages.audit import AuditPage
from services.console.pages.candidate import CandidatePage
from services.console.pages.candidates import CandidatesPage
from services.console.pages.content_policy import ContentPolicy, script_digest, sign_nicegui_scripts
from services.console.pages.frame import chosen, frame, markup
from services.console.pages.loop import LoopPage
from services.console.pages.review import ReviewPage
from services.console.parts import Parts
from services.console.templating import make_render
from shared.access.door import May, admitted, shown_by
from shared.access.roles import Verb
from shared.problems import Problem

SECONDS_TO_ANSWER = 30.0
MAY_AUDIT = May(Verb.AUDIT, of_all=True)
HERE = files("services.console.pages")
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20" fill="none" stroke-width="2.4">'
    '<path d="M16.5 10a6.5 6.5 0 1 1-2-4.7" stroke="#3f82d8"/>'
    '<path d="M17.2 2.2v4.2H13" stroke="#d98324"/></svg>'
)
LOCAL_TIMES = """
const said = {dateStyle: "full", timeStyle: "medium"};
for (const kind of ["mouseover", "focusin"]) document.addEventListener(kind, (event) => {
  const time = event.target.closest?.("time");
  if (time) time.title = new Date(time.dateTime).toLocaleString(undefined, said);
});
"""


def mount_pages(app: FastAPI, parts: Parts, name_in: Callable[[str], str]) -> None:
    """To be called after the app's own routes: the pages take every address that is left.

    `name_in` says what the person of a session is called.
    """
    render = make_render(parts.clock)
    ui.add_head_html(f"<style>{HERE.joinpath('console.css').read_text()}</style>", shared=True)
    ui.add_head_html(f"<script>{LOCAL_TIMES}</script>", shared=True)

    def seen_by(request: Request) -> Parts:
        """Raises Problem, 403, for who may read nothing."""
        visitor = admitted(request, Verb.READ)
        shown = "" if visitor.is_local else shown_by(request.scope)
        return parts.for_visitor(visitor, shown, name_in(shown))

    @nicegui_app.exception_handler(Problem)
    async def refuse(_: Request, problem: Exception) -> HTMLResponse:
        shown = render("sign_in.html", next="/", said=str(problem), can=True, oidc="")
        return HTMLResponse(shown, problem.status if isinstance(problem, Problem) else 500)

    def page(path: str, title: str, kind: type[LoopPage] | type[ReviewPage] | type[CandidatesPage]) -> None:
        @ui.page(path, title=f"{title} · tuneloop", response_timeout=SECONDS_TO_ANSWER)
        async def show(request: Request, workload: str = "") -> None:
            mine = seen_by(request)
            definition = chosen(mine, workload)
            if definition is None:
                with frame(mine, render, title, None):
                    markup(render("nothing.html"))
                return
            await kind(mine, render, definition).build()

    @ui.page("/candidates/{run_id}", response_timeout=SECONDS_TO_ANSWER)
    async def show_one(request: Request, run_id: str, workload: str = "") -> None:
        mine = seen_by(request)
        definition = chosen(mine, workload)
        if definition is not None:
            await CandidatePage(mine, render, definition, run_id).build()
        else:
            with frame(mine, render, "Candidates", None):
                markup(render("nothing.html"))

    @ui.page("/audit-log", title="Audit · tuneloop", response_timeout=SECONDS_TO_ANSWER)
    async def show_audit(request: Request) -> None:
        await MAY_AUDIT(request)
        await AuditPage(seen_by(request), render).build()

    page("/", "Loop", LoopPage)
    page("/review", "Review", ReviewPage)
    page("/candidates", "Candidates", CandidatesPage)
    ui.run_with(
        app,
        mount_path="/",
        title="tuneloop",
        favicon=ICON,
        dark=None,
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=10.0,
    )
    sign_nicegui_scripts()
    app.add_middleware(ContentPolicy, digest=script_digest(LOCAL_TIMES))
