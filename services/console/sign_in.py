"""Where people come in: by a key that they show once, or by a provider; a session lasts hours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.console import signing_in
from services.console.oidc import NotVouchedFor, Provider, ProviderAway
from services.console.people import name_of, session_of_claims
from services.console.settings import Settings
from services.console.signing_in import SigningIn
from services.console.templating import Render
from shared.access.admission import Admission, NotKnownNow
from shared.access.door import COOKIE, ENTRANCE, OIDC, OIDC_BACK, SIGN_IN, STYLE, came_in, nobody_now
from shared.access.known_keys import NotAdmitted
from shared.access.session import LASTS, Session, signed
from shared.fields import WORKLOAD_NAME_PATTERN
from shared.http_doors.form_route import FormRoute

DRESS = files("services.console.pages") / "console.css"
CANDIDATE = re.compile(r"/candidates/[A-Za-z0-9._:-]{1,128}")
OF_A_WORKLOAD = re.compile(f"workload={WORKLOAD_NAME_PATTERN.strip('^$')}")
PAGES = ("/", "/review", "/candidates", "/audit-log")
POLICY = {
    "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
}
LONGEST_KEY = 200
Said = Annotated[str, Form(max_length=LONGEST_KEY)]


@dataclass(frozen=True)
class SignIn:
    """What the routes call."""

    admission: Admission
    settings: Settings
    subject_key: str
    render: Render

    def page(self, place: str, said: str = "", status: int = 200) -> HTMLResponse:
        content = self.render(
            "sign_in.html",
            next=_place(place),
            said=said,
            can=bool(self.admission.session_key),
            oidc=OIDC if self.settings.oidc_issuer else "",
        )
        return HTMLResponse(content, status, POLICY)

    def begins(self, answer: Response, request: Request, session: Session) -> Response:
        """The answer, by which the browser holds this session."""
        came_in(request, session.principal)
        answer.set_cookie(
            COOKIE,
            signed(session, self.admission.session_key, self.admission.clock()),
            max_age=int(LASTS.total_seconds()),
            httponly=True,
            secure=_is_tls(request),
            samesite="strict",
        )
        return answer


def sign_in_routes(parts: SignIn) -> APIRouter:
    router = APIRouter(include_in_schema=False, route_class=FormRoute)

    @router.get(SIGN_IN)
    async def page(next: str = "/") -> HTMLResponse:
        return parts.page(next)

    @router.get(STYLE)
    async def dress() -> Response:
        return Response(DRESS.read_text("utf-8"), media_type="text/css")

    @router.post(SIGN_IN, dependencies=[ENTRANCE])
    async def sign_in(request: Request, key: Said, next: Said = "/") -> Response:
        try:
            principal = parts.admission.holder_of(key.strip())
        except NotAdmitted as refused:
            return parts.page(next, str(refused), 401)
        except NotKnownNow as unknown:
            raise nobody_now(str(unknown)) from None
        answer = RedirectResponse(_place(next), 303)
        if principal.is_local:  # who needs no key yet gets no session that outlives the first one
            return answer
        return parts.begins(answer, request, Session(principal, ""))

    @router.post("/sign-out", dependencies=[ENTRANCE])
    async def sign_out() -> Response:
        answer = RedirectResponse(SIGN_IN, 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return router


def oidc_routes(parts: SignIn, provider: Provider) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    secret, clock = parts.admission.session_key, parts.admission.clock

    @router.get(OIDC)
    async def begin(request: Request, next: str = "/") -> Response:
        kept = request.scope["session"] = {}
        try:
            answer = await provider.begin(request, f"{str(request.base_url).rstrip('/')}{OIDC_BACK}")
        except ProviderAway as away:
            return parts.page(next, str(away), 503)
        answer.set_cookie(
            signing_in.COOKIE,
            signing_in.signed(SigningIn(kept, _place(next)), secret, clock()),
            max_age=int(signing_in.LASTS.total_seconds()),
            path=OIDC,
            httponly=True,
            secure=_is_tls(request),
            samesite="lax",  # a strict one would not come along from the provider's page
        )
        return answer

    @router.get(OIDC_BACK, dependencies=[ENTRANCE])
    async def back(request: Request) -> Response:
        begun = signing_in.read(request.cookies.get(signing_in.COOKIE, ""), secret, clock())
        request.scope["session"] = begun.kept
        answer = await _ended(request, begun.place)
        answer.delete_cookie(signing_in.COOKIE, path=OIDC, httponly=True, samesite="lax")
        return answer

    async def _ended(request: Request, place: str) -> Response:
        try:
            claims = await provider.vouched_for(request)
        except NotVouchedFor as refused:
            return parts.page(place, str(refused), 401)
        except ProviderAway as away:
            return parts.page(place, str(away), 503)
        settings = parts.settings
        session = session_of_claims(claims, settings.oidc_roles_claim, settings.oidc_roles, parts.subject_key)
        if session is None:
            stranger = parts.render("stranger.html", person=name_of(claims), contact=settings.oidc_contact)
            return HTMLResponse(stranger, 403, POLICY)
        # A page and no redirect: a browser that comes from elsewhere sends no strict cookie along with one.
        return parts.begins(
            HTMLResponse(parts.render("signed_in.html", place=_place(place))), request, session
        )

    return router


def _is_tls(request: Request) -> bool:
    return request.url.scheme == "https"


def _place(wanted: str) -> str:
    """A page of ours, of a workload; nobody is sent elsewhere by a link that somebody else made."""
    path, _, query = wanted.partition("?")
    if path not in PAGES and not CANDIDATE.fullmatch(path):
        return "/"
    return wanted if OF_A_WORKLOAD.fullmatch(query) else path
