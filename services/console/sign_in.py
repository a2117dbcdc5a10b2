"""Where people come in: they show their key once, and the browser holds a session for some hours."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.console.templating import Render
from shared.access.admission import Admission, NotKnownNow
from shared.access.door import COOKIE, nobody_now
from shared.access.known_keys import NotAdmitted
from shared.access.session import LASTS, Session, signed
from shared.http_doors.form_route import FormRoute

STYLE = files("services.console.pages") / "console.css"
CANDIDATE = re.compile(r"/candidates/[A-Za-z0-9._:-]{1,128}")
PAGES = ("/", "/review", "/candidates")
LONGEST_KEY = 200
Said = Annotated[str, Form(max_length=LONGEST_KEY)]


def sign_in_routes(admission: Admission, render: Render) -> APIRouter:
    router = APIRouter(include_in_schema=False, route_class=FormRoute)

    @router.get("/sign-in")
    async def page(next: str = "/") -> HTMLResponse:
        return _page(next, "")

    @router.get("/sign-in/console.css")
    async def dress() -> Response:
        return Response(STYLE.read_text("utf-8"), media_type="text/css")

    @router.post("/sign-in")
    async def sign_in(request: Request, key: Said, next: Said = "/") -> Response:
        try:
            principal = admission.principal(f"Bearer {key.strip()}")
        except NotAdmitted as refused:
            return _page(next, str(refused), 401)
        except NotKnownNow as unknown:
            raise nobody_now(str(unknown)) from None
        answer = RedirectResponse(_place(next), 303)
        answer.set_cookie(
            COOKIE,
            signed(Session(principal, ""), admission.session_key, admission.clock()),
            max_age=int(LASTS.total_seconds()),
            httponly=True,
            secure=request.url.scheme == "https",
            samesite="strict",
        )
        return answer

    @router.post("/sign-out")
    async def sign_out() -> Response:
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    def _page(next_: str, said: str, status: int = 200) -> HTMLResponse:
        can = bool(admission.session_key)
        return HTMLResponse(render("sign_in.html", next=_place(next_), said=said, can=can), status)

    return router


def _place(wanted: str) -> str:
    """A page of ours; nobody is sent elsewhere by a link that somebody else made."""
    return wanted if wanted in PAGES or CANDIDATE.fullmatch(wanted) else "/"
