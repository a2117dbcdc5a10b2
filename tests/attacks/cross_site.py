"""What a web page that somebody visits can make their browser do to the doors on this machine."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import aiohttp

from tests.attacks.asking import asked, run_async
from tests.attacks.attack import attack
from tests.attacks.target import Target

FOREIGN = "http://attacker.example"
REFUSED = (403, 421)
SIMPLE = ("text/plain", "text/plain; charset=application/json", "application/x-www-form-urlencoded")
"""What a page may send anywhere without being asked first (the Fetch standard's simple requests)."""
REVIEW = {"prediction_id": "p", "workload": "w", "reviewer": "anna", "right_answer": "refund"}
WORKLOAD = """
name = "planted"
title = "Planted"
prompt = "{text}"
labels = ["yes", "no"]
"""
MANY = 15
"""Routes that take a body: fewer, and a document does not list them."""
SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport="


@attack
def a_rebound_name_reads_every_door(target: Target) -> str:
    """DNS rebinding: the page's own name is made to mean 127.0.0.1, and its script reads what answers."""
    paths = {"gateway": "/v1/models", "services": "/workloads", "models": "/v1/models"}
    said = {
        door: asked("GET", url + paths[door], headers={"host": "attacker.example"}).status_code
        for door, url in target.doors.items()
    }
    return _unless_all(said)


@attack
def a_rebound_name_reads_the_console(target: Target) -> str:
    """The same for the console's page, which holds what its websocket wants to be told."""
    return _unless_all({"/": asked("GET", target.services, headers={"host": "attacker.example"}).status_code})


@attack
def a_rebound_name_gives_a_review(target: Target) -> str:
    """After rebinding, page and door have one origin: no preflight, any method, any header."""
    port = urlsplit(target.services).port
    headers = {"host": f"attacker.example:{port}", "origin": f"{FOREIGN}:{port}"}
    return _unless_all(
        {"/reviews": asked("POST", f"{target.services}/reviews", headers=headers, json=REVIEW).status_code}
    )


@attack
def a_name_that_begins_like_ours_is_taken(target: Target) -> str:
    """Names that a careless comparison takes for localhost."""
    names = ("localhost.attacker.example", "127.0.0.1.attacker.example", "attacker.example:80@localhost")
    return _unless_all(
        {
            name: asked("GET", f"{target.services}/workloads", headers={"host": name}).status_code
            for name in names
        },
        (*REFUSED, 400),
    )


@attack
def a_foreign_page_opens_the_consoles_websocket(target: Target) -> str:
    """Websockets know no same-origin rule: through the console's, a page presses its buttons."""

    async def opened() -> str:
        url = f"{target.services}{SOCKET}websocket"
        async with aiohttp.ClientSession() as session:
            try:
                async with session.ws_connect(url, origin=FOREIGN) as socket:
                    hello = await socket.receive_str(timeout=5)
                    await socket.send_str("40")
                    return f"it was let in: {hello[:40]} {(await socket.receive_str(timeout=5))[:40]}"
            except aiohttp.WSServerHandshakeError as error:
                return "" if error.status in REFUSED else f"it was answered {error.status}"

    return run_async(opened())


@attack
def a_foreign_page_polls_the_console(target: Target) -> str:
    """The console's other transport: plain GETs, whose answers a page may read where CORS lets it."""
    answer = asked("GET", f"{target.services}{SOCKET}polling", headers={"origin": FOREIGN})
    allowed = answer.headers.get("access-control-allow-origin")
    if answer.status_code in REFUSED and allowed is None:
        return ""
    return f"it was answered {answer.status_code} and may be read by {allowed}: {answer.text[:40]}"


@attack
def a_foreign_form_adds_a_workload(target: Target) -> str:
    """multipart/form-data needs no preflight: a hidden form uploads a definition and its rows."""
    rows = "".join(f'{{"text": "text {n}", "label": "{("yes", "no")[n % 2]}"}}\n' for n in range(400))
    answer = asked(
        "POST",
        f"{target.services}/workloads/check",  # as /workloads does, but it keeps nothing and trains nothing
        headers={"origin": FOREIGN},
        files={"definition": ("planted.toml", WORKLOAD), "rows": ("rows.jsonl", rows)},
    )
    return _unless_all({"/workloads/check": answer.status_code})


@attack
def a_foreign_page_sends_json_as_text(target: Target) -> str:
    """JSON under the media types that need no preflight."""
    return "; ".join(filter(None, (_taken_as(target, kind) for kind in SIMPLE)))


@attack
def a_foreign_page_sends_json_without_a_media_type(target: Target) -> str:
    """A Blob that has no type is sent without a Content-Type, and without a preflight."""
    return _taken_as(target, "")


@attack
def a_page_of_no_origin_sends_a_review(target: Target) -> str:
    """A sandboxed frame's origin is `null`, which no list may take for nothing."""
    answer = asked("POST", f"{target.services}/reviews", headers={"origin": "null"}, json=REVIEW)
    return _unless_all({"/reviews": answer.status_code})


@attack
def a_foreign_page_frames_the_console(target: Target) -> str:
    """Clickjacking: the console under an invisible frame, its buttons under the visitor's mouse."""
    said = []
    for path in ("/", "/review", "/candidates", "/docs"):
        headers = asked("GET", target.services + path).headers
        is_denied = headers.get("x-frame-options", "").upper() == "DENY"
        if not is_denied or "frame-ancestors 'none'" not in headers.get("content-security-policy", ""):
            said.append(path)
    return f"it may be framed: {', '.join(said)}" if said else ""


@attack
def markup_in_a_page_runs_its_scripts(target: Target) -> str:
    """Text that got into a page as markup: its inline scripts and handlers run, and talk to anywhere."""
    policy = _policy(asked("GET", target.services).headers.get("content-security-policy", ""))
    scripts = policy.get("script-src", policy.get("default-src", "*")).split()
    fetches = () if policy.get("default-src") == "'none'" else ("object-src", "connect-src")
    missing = [name for name in ("base-uri", "form-action", *fetches) if name not in policy]
    if "'unsafe-inline'" in scripts or {"*", "http:", "https:", "data:"} & set(scripts):
        return f"inline or foreign scripts run: script-src {' '.join(scripts)}"
    return f"the policy says nothing of {', '.join(missing)}" if missing else ""


@attack
def the_documentation_runs_foreign_scripts(target: Target) -> str:
    """Whoever owns the CDN of the documentation's scripts owns every origin that shows it."""
    said = []
    for url in target.doors.values():
        for path in ("/docs", "/redoc", "/docs/oauth2-redirect"):
            text = asked("GET", url + path).text
            said += re.findall(r"""(?:src|href)=["']((?:https?:)?//[^"']+)""", text)
            if "<script" in text:
                said.append(f"a script of its own in {path}")
    return f"it loads {', '.join(sorted(set(said)))}" if said else ""


@attack
def an_answer_is_taken_for_a_script(target: Target) -> str:
    """A page loads JSON as a script or a style; browsers guess types unless they are told not to."""
    said = [
        door
        for door, url in target.doors.items()
        if asked("GET", f"{url}/nothing-here").headers.get("x-content-type-options") != "nosniff"
    ]
    return f"browsers may guess what these doors answer: {', '.join(said)}" if said else ""


def _taken_as(target: Target, kind: str) -> str:
    """Every route that takes a body, by a browser that says whose page it is, and by one that does not."""
    said = []
    for url in _taking_bodies(target):
        of_kind = {"content-type": kind} if kind else {}
        if (status := _sent(url, of_kind | {"origin": FOREIGN})) not in (*REFUSED, 415):
            said.append(f"{url} answered {status}")
        if (status := _sent(url, of_kind)) != 415:
            said.append(f"{url} answered {status} to who names no origin")
        if (status := _sent(url, {"content-type": "application/json"})) in (*REFUSED, 415) or status >= 500:
            said.append(f"{url} answers {status} to JSON too, so nothing is proved")
    return "; ".join(said)


def _sent(url: str, headers: dict[str, str]) -> int:
    return asked("POST", url, headers=headers, content=b"{}").status_code


def _taking_bodies(target: Target) -> list[str]:
    """As the doors' own documents say, with a workload or an id that is not there."""
    found = [
        url + re.sub(r"\{[^}]*\}", "w", path)
        for url in target.doors.values()
        for path, operations in asked("GET", f"{url}/openapi.json").json()["paths"].items()
        if "requestBody" in operations.get("post", {})
    ]
    if len(found) < MANY:
        raise RuntimeError(f"the documents list {len(found)} routes that take a body")
    return found


def _unless_all(said: dict[str, int], refused: tuple[int, ...] = REFUSED) -> str:
    taken = [f"{what} answered {status}" for what, status in said.items() if status not in refused]
    return "; ".join(taken)


def _policy(header: str) -> dict[str, str]:
    parts = (one.strip().partition(" ") for one in header.split(";"))
    return {name: sources for name, _, sources in parts if name}
