"""ASGI middleware: nobody comes in unknown, and every route finds out who asks."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import Request, params
from fastapi.responses import RedirectResponse
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.access.admission import BEARER, BEHIND_A_PROXY, Admission, NotKnownNow
from shared.access.asked import ASKED, Asked
from shared.access.known_keys import NotAdmitted
from shared.access.principal import Principal
from shared.access.roles import Verb
from shared.loopback import HOSTS
from shared.problems import Problem, come_again

HEALTH = "/health/"
"""What an orchestrator asks, which says nothing of anybody's data."""
SIGN_IN, STYLE, OIDC, OIDC_BACK = "/sign-in", "/sign-in/console.css", "/sign-in/oidc", "/sign-in/oidc/back"
COMING_IN = frozenset({SIGN_IN, STYLE, OIDC, OIDC_BACK})
"""Where people come in, and no other path: beside it the pages answer whatever is asked, at a cost."""
BY_A_PROXY = frozenset(
    {b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"}
)
COOKIE = "tuneloop-session"
POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013  # RFC 6455, 7.4.1, and IANA's registry


class Door:
    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self._app, self._admission = app, admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"].startswith(HEALTH):
            await self._app(scope, receive, send)
            return
        asked = scope[ASKED] = Asked()
        try:
            if scope["path"] in COMING_IN:
                self._admission.needs_first_key()
            else:
                asked.principal = self._principal(scope)
        except NotAdmitted as refused:
            if _is_page(scope):
                to = f"{SIGN_IN}?{urlencode({'next': _wanted(scope)})}"
                await RedirectResponse(to, 303)(scope, receive, send)
                return
            await _refuse(_unknown(str(refused)), POLICY_VIOLATION, scope, receive, send)
        except NotKnownNow as unknown:
            await _refuse(nobody_now(str(unknown)), TRY_AGAIN_LATER, scope, receive, send)
        else:
            if scope["type"] == "websocket":
                receive = self._while_admitted(scope, receive, send)
            await self._app(scope, receive, send)

    def _principal(self, scope: Scope) -> Principal:
        """Raises NotAdmitted, NotKnownNow."""
        found = self._admission.principal(
            _header(scope, b"authorization"),
            session_of(scope),
            from_this_machine=_is_from_this_machine(scope),
        )
        if found.is_local and _is_by_a_proxy(scope):
            raise NotKnownNow(BEHIND_A_PROXY)
        return found

    def _while_admitted(self, scope: Scope, receive: Receive, send: Send) -> Receive:
        """A websocket outlives the moment that let it in: each message is looked at, pings among them."""

        async def receiving() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive":
                try:
                    self._principal(scope)
                except (NotAdmitted, NotKnownNow):
                    await send({"type": "websocket.close", "code": POLICY_VIOLATION})
                    return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}
            return message

        return receiving


def principal_of(request: Request) -> Principal:
    found = _asked(request).principal
    assert found is not None, "the door lets nobody else in"
    return found


def admitted(request: Request, verb: Verb, workload: str | None = None) -> Principal:
    """Who asks, if they may. Raises Problem, 403."""
    principal = principal_of(request)
    _asked(request).verb = verb
    if not principal.may(verb):
        raise Problem(
            403,
            "Not for this key",
            f"This key is for the role “{principal.role}”, which may not {verb.in_words} here. "
            "Whoever runs tuneloop can make another: tuneloop keys create --role",
        )
    if not principal.may(verb, workload):
        raise _for_others()
    return principal


class May:
    """A route's dependency: who asks, if they may do this to the workload that its address names, if any.

    A workload that the body names is for the route to ask about, by `admitted`.
    """

    def __init__(self, verb: Verb, *, of_all: bool = False) -> None:
        """`of_all`: what the route answers is of all workloads, so a key for some of them is not enough."""
        self.verb, self._of_all = verb, of_all

    async def __call__(self, request: Request) -> Principal:
        named: Any = request.path_params.get("workload") or request.query_params.get("workload")
        principal = admitted(request, self.verb, named)
        if self._of_all and principal.workloads is not None:
            raise _for_others()
        return principal


async def _is_entrance(request: Request) -> None:
    _asked(request).is_entrance = True


ENTRANCE = params.Depends(_is_entrance)
"""Among the `dependencies` of a route at which people come in or go: it wants no verb, and is on record."""


def came_in(request: Request, principal: Principal) -> None:
    """Somebody whom the door did not know has signed in by this request."""
    _asked(request).principal = principal


def may(verb: Verb, *, of_all: bool = False) -> params.Depends:
    """Among a route's `dependencies`."""
    return params.Depends(May(verb, of_all=of_all))


def _asked(request: Request) -> Asked:
    found: Asked = request.scope[ASKED]
    return found


def _is_page(scope: Scope) -> bool:
    return scope["type"] == "http" and scope["method"] == "GET" and "text/html" in _header(scope, b"accept")


async def _refuse(problem: Problem, code: int, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await problem.response(scope["path"])(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": code})


def _is_from_this_machine(scope: Scope) -> bool:
    """And through no proxy, as far as we see."""
    return bool(scope.get("client")) and scope["client"][0] in HOSTS and not _is_by_a_proxy(scope)


def _is_by_a_proxy(scope: Scope) -> bool:
    return any(name in BY_A_PROXY for name, _ in scope["headers"])


def shown_by(scope: Scope) -> str:
    """The key or the session by which they came in, for what a page asks in their name."""
    return _header(scope, b"authorization")[len(BEARER) :].strip() or session_of(scope)


def _wanted(scope: Scope) -> str:
    query = scope["query_string"].decode("latin-1")
    return f"{scope['path']}?{query}" if query else str(scope["path"])


def session_of(scope: Scope) -> str:
    """What the browser sends as its session; "" if it sends none."""
    if not (cookies := _header(scope, b"cookie")):
        return ""
    return cookie_parser(cookies).get(COOKIE, "")


def _header(scope: Scope, wanted: bytes) -> str:
    for name, value in scope["headers"]:
        if name == wanted:
            return str(value.decode("latin-1"))
    return ""


def nobody_now(said: str) -> Problem:
    return come_again("Nobody comes in now", said)


def _unknown(said: str) -> Problem:
    return Problem(401, "Who asks?", said, headers={"WWW-Authenticate": "Bearer"}, code="no_admission")


def _for_others() -> Problem:
    return Problem(
        403,
        "Not for this workload",
        "This key is for other workloads. Whoever runs tuneloop can make one for this: "
        "tuneloop keys create --workload",
    )
