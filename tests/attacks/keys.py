"""What a stranger does to come in where keys are on, and an insider beyond what their key is for."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.cookies import Morsel, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
from joserfc import jwt
from joserfc.jwk import OctKey

from services.console import signing_in
from services.console.signing_in import SigningIn
from shared.access.api_key import new_key
from shared.access.door import COOKIE
from shared.access.principal import Principal
from shared.access.roles import Role
from shared.access.session import Session, signed
from shared.events import AccessChanged, record
from tests.attacks.asking import all_at_once, connected
from tests.attacks.team import KEY_SECONDS, OURS, THEIRS, Team, on_team, tuneloop
from tests.shared.consuming import produce

FOREIGN = "https://attacker.example"
UNKNOWN = (401,)
NOT_FOR_THIS_KEY = (403,)
OUT = (401, 403, 415, 421, 429)
OPEN = re.compile(r"/health/|/sign-in|/sign-out")
METHODS = ("get", "post", "put", "patch", "delete")
SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=polling"
TRIES, AT_ONCE = 300, 4
MOST_SECONDS_A_TRY = 0.005
"""Of the process, for a key that is not known: less than any answer costs that it keeps from being made."""
MOST_LOGGED_BYTES = 20_000
NOWHERE = "nowhere"
"""Stands for whatever an address names: so that nothing happens, whoever may ask for it."""
OF_REVIEWERS = frozenset({"POST /reviews", "POST /reviews/claims"})
"""What changes something and is theirs."""
OF_AUDITORS = re.compile(r"GET /(audit|keys)\b")
"""What they may look at, and reviewers may not."""
MANY = 20
"""Routes: fewer, and a document does not list them."""


@on_team
def a_stranger_asks_every_route(team: Team) -> str:
    """Somebody on the network who has no key asks for each thing there is."""
    return _unless_all(_asked_each(team, "", _routes(team)), UNKNOWN)


@on_team
def a_stranger_goes_around_the_door(team: Team) -> str:
    """Paths that a careless comparison takes for open ones, and pages by a browser."""
    paths = (
        "/health/../workloads",
        "//workloads",
        "/health/%2e%2e/workloads",
        "/sign-in/../workloads",
        "/./workloads",
        "/health/live/../../keys",
        "/sign-in%2f..%2fkeys",
        "/workloads/",
        "/WORKLOADS",
        "/metrics/",
        "/docs",
        "/openapi.json",
        SOCKET,
    )
    said = {path: _raw(team, path) for path in paths}
    taken = [f"{path} answered {status}" for path, status in said.items() if status < 300]
    for path in ("/", "/review", "/candidates"):
        answer = team.asked("GET", team.services + path, headers={"accept": "text/html"})
        if not answer.headers.get("location", "").startswith("/sign-in?"):
            taken.append(f"{path} answered {answer.status_code}")
    return "; ".join(taken)


@on_team
def a_stranger_says_to_come_from_loopback(team: Team) -> str:
    """Headers by which a proxy says whom it speaks for, and none is there."""
    said = {}
    for name in (
        "x-forwarded-for",
        "x-real-ip",
        "forwarded",
        "x-forwarded-user",
        "remote-user",
        "x-tuneloop-principal",
    ):
        for value in ("127.0.0.1", "for=127.0.0.1", "local", "host"):
            answer = team.asked("GET", f"{team.services}/workloads", headers={name: value})
            said[f"{name}: {value}"] = answer.status_code
    return _unless_all(said, UNKNOWN)


@on_team
def a_guessed_or_bent_key_opens(team: Team) -> str:
    """One of the right form; another's id with a secret of one's own; parts of a key; its kept digest."""
    real = team.keys["operator"]
    head, _ = real[:16], real[16:]
    kept = (team.target.data / "state" / "services" / "known_keys.json").read_text()
    bent = [
        new_key().text,
        head + "A" * 43,
        head,
        real[:-1],
        real + "A",
        real.upper(),
        real.replace("tl_", "TL_"),
        *(str(one["digest"]) for one in json.loads(kept)),
        "tl_host_" + "A" * 43,
        "null",
        "undefined",
        "*",
    ]
    return _unless_all(
        {one: team.asked("GET", f"{team.services}/workloads", one).status_code for one in bent}, UNKNOWN
    )


@on_team
def an_expired_key_opens(team: Team) -> str:
    """Yesterday's key. Its twin, which is good, tells when all doors know of it."""
    over, good = new_key(), new_key()
    for key, expires in ((over, -1), (good, 1)):
        changed = AccessChanged(
            key_id=key.key_id,
            revision=1,
            principal="p-000000000000",
            role=Role.OPERATOR,
            digest=key.digest,
            expires_at=datetime.now(UTC) + timedelta(days=expires),
            changed_by="host",
            changed_at=datetime.now(UTC),
        )
        event = record(changed, "workloads")
        produce(team.target.kafka, event.topic, {0: [event.value]})
    for url in _reads(team):
        if not _answers(team, url, good.text, 200):
            return f"its twin does not open {url}, so nothing is proved"
    return _unless_all({url: team.asked("GET", url, over.text).status_code for url in _reads(team)}, UNKNOWN)


@on_team
def a_revoked_key_still_opens(team: Team) -> str:
    """Whoever left a minute ago: their key, and the session in their browser."""
    made = team.make("carl", "--role", "operator")
    for url in _reads(team):
        _answers(team, url, made["key"], 200)
    session = _signed_in(team, made["key"]).value
    sent = {"cookie": f"{COOKIE}={session}"}
    if team.asked("GET", f"{team.services}/workloads", headers=sent).status_code != 200:
        return "its session opens nothing, so nothing is proved"
    ended = tuneloop("keys", "revoke", made["key_id"], "--data", str(team.target.data))
    if ended.returncode:
        return f"it cannot be revoked: {ended.stderr}"
    left = [url for url in _reads(team) if not _answers(team, url, made["key"], 401)]
    if not _answers(team, f"{team.services}/workloads", "", 401, headers=sent):
        left.append("the session")
    return f"{KEY_SECONDS:.0f} s later it opens {', '.join(left)}" if left else ""


@on_team
def a_forged_session_opens(team: Team) -> str:
    """A cookie that says operator, signed by nobody, by a guess, or by what a stranger may know."""
    anna = Session(Principal("p-000000000000", Role.OPERATOR), "")
    now = datetime.now(UTC)
    head, claims, signature = signed(anna, "ab" * 32, now).split(".")
    guesses = ("tuneloop-tuneloop", "change-me-change-me", "0" * 64, team.keys["reviewer"], team.host * 2)
    forged = [signed(anna, guess, now) for guess in guesses]
    forged += [
        f"{_part({'alg': one})}.{claims}.{end}"
        for one in ("none", "None", "HS512", "RS256")
        for end in ("", signature)
    ]
    forged += [f"{head}.{claims}.", f"{head}.{claims}", claims]
    said = {}
    for number, token in enumerate(forged):
        for how in ({"cookie": f"{COOKIE}={token}"}, {"authorization": f"Bearer {token}"}):
            answer = team.asked("GET", f"{team.services}/workloads", headers=how)
            said[f"forgery {number} as {next(iter(how))}"] = answer.status_code
    return _unless_all(said, UNKNOWN)


@on_team
def what_the_session_key_signs_for_something_else_opens(team: Team) -> str:
    """The cookie of a sign-in under way, and a session that is over, or is for somebody else."""
    secret = (team.target.data / "session-key").read_text()
    now = datetime.now(UTC)
    anna = Session(Principal("p-000000000000", Role.OPERATOR), "")
    claims = {"aud": "another", "sub": "x", "name": "", "role": "operator", "workloads": None, "key_id": ""}
    other = jwt.encode({"alg": "HS256"}, {**claims, "exp": 1 << 33}, OctKey.import_key(secret))
    tokens = {
        "of a sign-in": signing_in.signed(SigningIn({}, "/"), secret, now),
        "over": signed(anna, secret, now - timedelta(hours=9)),
        "for another": other,
    }
    return _unless_all(
        {
            what: team.asked(
                "GET", f"{team.services}/workloads", headers={"cookie": f"{COOKIE}={token}"}
            ).status_code
            for what, token in tokens.items()
        },
        UNKNOWN,
    )


@on_team
def a_session_makes_itself_another(team: Team) -> str:
    """A session that is sent as if it were a key, again before it ends, lasts for ever."""
    session = _signed_in(team, team.keys["auditor"]).value
    answer = team.asked("POST", f"{team.services}/sign-in", data={"key": session})
    return f"it was given one: {answer.status_code}" if _session_of(answer) else ""


@on_team
def an_apps_key_speaks_for_another_workload(team: Team) -> str:
    """It asks, logs and feeds back under a workload that its key is not for."""
    app = team.keys["app"]
    chat = {"model": THEIRS, "messages": [{"role": "user", "content": "x"}]}
    logged = {"workload": THEIRS, "input": "x", "answer": "refund", "confidence": 0.9, "adapter": "a"}
    asks: dict[str, tuple[str, Any]] = {
        "chat": (f"{team.gateway}/v1/chat/completions", chat),
        "completion": (f"{team.gateway}/v1/completions", {"model": THEIRS, "prompt": "x"}),
        "prediction": (f"{team.services}/predictions", logged),
        "one of many": (f"{team.services}/predictions", [{**logged, "workload": OURS}, logged]),
        "feedback": (f"{team.services}/feedback", {"workload": THEIRS, "prediction_id": "p", "thumb": "up"}),
    }
    said = {what: team.asked("POST", url, app, json=body).status_code for what, (url, body) in asks.items()}
    said["model"] = team.asked("GET", f"{team.gateway}/v1/models/{THEIRS}", app).status_code
    listed = team.asked("GET", f"{team.gateway}/v1/models", app).text
    said["one of many"] = 403 if said["one of many"] == 207 else 0
    return _unless_all(said, NOT_FOR_THIS_KEY) or (f"it is listed: {listed}" if THEIRS in listed else "")


@on_team
def an_apps_key_reads_what_users_wrote(team: Team) -> str:
    """The key in an app's environment is the one that leaks: it opens no texts, lists or metrics."""
    app = team.keys["app"]
    reads = {what: route for what, route in _routes(team).items() if route.method == "GET"}
    reads = {what: route for what, route in reads.items() if route.url.startswith(team.services)}
    said = _asked_each(team, app, reads)
    said["the console"] = team.asked("GET", team.services, app, headers={"accept": "text/html"}).status_code
    claim = team.asked("POST", f"{team.services}/reviews/claims", app, json={"workload": OURS})
    said["a text to review"] = claim.status_code
    return _unless_all(said, NOT_FOR_THIS_KEY) or _refused_to_operators(team, reads)


@on_team
def a_reviewers_key_operates(team: Team) -> str:
    """Rolls a champion back, starts cycles and trainings, retires, and makes itself an operator's key."""
    routes = _routes(team).items()
    wanted = {what: route for what, route in routes if OF_AUDITORS.match(what)}
    wanted |= {what: route for what, route in _changing(team).items() if what not in OF_REVIEWERS}
    said = _asked_each(team, team.keys["reviewer"], wanted)
    return _unless_all(said, NOT_FOR_THIS_KEY) or _refused_to_operators(team, wanted)


@on_team
def an_auditors_key_writes(team: Team) -> str:
    """Who may look only: all that operators do, reviews, predictions, feedback, answers."""
    wanted = _changing(team)
    said = _asked_each(team, team.keys["auditor"], wanted)
    return _unless_all(said, NOT_FOR_THIS_KEY) or _refused_to_operators(team, wanted)


@on_team
def an_insider_makes_a_stronger_key(team: Team) -> str:
    """Each role but the operator's asks for an operator's key."""
    wanted, said = {"name": "me", "role": "operator"}, {}
    for role in ("app", "reviewer", "auditor"):
        answer = team.asked("POST", f"{team.services}/keys", team.keys[role], json=wanted)
        said[role] = answer.status_code
    return _unless_all(said, NOT_FOR_THIS_KEY)


@on_team
def a_key_in_an_address_opens(team: Team) -> str:
    """Addresses stand in histories and logs: a key there opens nothing, lest people put it there."""
    key, said = team.keys["operator"], {}
    for name in ("key", "api_key", "apikey", "token", "access_token", "authorization", COOKIE):
        for url in _reads(team):
            said[f"?{name}= {url}"] = team.asked("GET", f"{url}?{name}={key}").status_code
    for url in _reads(team):
        parts = urlsplit(url)
        said[f"user@{url}"] = team.asked(
            "GET", parts._replace(netloc=f"{key}:{key}@{parts.netloc}").geturl()
        ).status_code
    signing = team.asked("GET", f"{team.services}/sign-in?key={key}&next=/")
    if _session_of(signing) or key in signing.text:
        return "the page to sign in takes it from its address"
    return _unless_all(said, UNKNOWN)


@on_team
def a_key_goes_by_plain_http(team: Team) -> str:
    """Whoever reads along on the network: the doors are asked without TLS, and are to be opened without."""
    said = []
    for url in team.doors.values():
        with connected(url.replace("https", "http")) as one:
            one.settimeout(5)
            one.sendall(
                f"GET /health/live HTTP/1.1\r\nHost: {team.host}\r\nAuthorization: Bearer x\r\n\r\n".encode()
            )
            try:
                got = one.recv(100)
            except OSError:
                got = b""
        if got.startswith(b"HTTP/"):
            said.append(f"{url} answers by plain HTTP: {got[:30]!r}")
    nowhere = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "CLICKHOUSE_URL": "http://127.0.0.1:9/none"}
    up = tuneloop("up", "--host", team.host, "--data", str(team.target.data.parent / "another"), **nowhere)
    if up.returncode != 1 or "--plain-http" not in up.stderr:
        said.append(f"tuneloop up --host opens without TLS: {up.returncode} {up.stderr[-200:]}")
    return "; ".join(said)


@on_team
def it_opens_without_any_key(team: Team) -> str:
    """A laptop is opened before anybody made a key: it would admit nobody, or everybody."""
    environment = {"HTTP_PLAIN": "true"}
    folder = team.target.data.parent / "keyless"
    up = tuneloop("up", "--host", team.host, "--data", str(folder), **environment)
    if up.returncode == 1 and "tuneloop keys create" in up.stderr:
        return ""
    return f"it ended with {up.returncode} and said {up.stderr[-200:]}"


@on_team
def trying_keys_stops_the_doors(team: Team) -> str:
    """Keys by the thousand, to find one or to keep the processes busy; and the logs fill up."""
    said, logged = [], team.target.log_bytes()
    for name, url in team.doors.items():
        process = _process(team, url)
        before = sum(process.cpu_times()[:2])

        def tries(url: str = url) -> set[int]:
            with team.client() as client:
                path = "/v1/models" if url == team.gateway else "/workloads"
                return {
                    client.get(url + path, headers={"authorization": f"Bearer {new_key().text}"}).status_code
                    for _ in range(TRIES)
                }

        began = time.monotonic()
        answers = set().union(*all_at_once(*[tries] * AT_ONCE))
        cost = (sum(process.cpu_times()[:2]) - before) / (TRIES * AT_ONCE)
        if answers != {401}:
            said.append(f"{name} answered {answers}")
        if cost > MOST_SECONDS_A_TRY:
            said.append(
                f"{name} spends {cost * 1000:.1f} ms on a try ({time.monotonic() - began:.1f} s in all)"
            )
    grown = team.target.log_bytes() - logged
    return "; ".join(said) or (f"the logs grew by {grown} bytes" if grown > MOST_LOGGED_BYTES else "")


@on_team
def a_foreign_page_signs_its_visitor_in(team: Team) -> str:
    """Login CSRF: a hidden form with the attacker's key, whose reviews the visitor then gives."""
    form = {"key": team.keys["reviewer"], "next": "/"}
    said = {}
    for origin in (FOREIGN, "null", f"http://{urlsplit(team.services).netloc}", f"https://{team.host}:1"):
        answer = team.asked("POST", f"{team.services}/sign-in", headers={"origin": origin}, data=form)
        said[origin] = answer.status_code
        if _session_of(answer):
            return f"a page of {origin} was given a session"
    return _unless_all(said, (403, 421))


@on_team
def a_link_sends_them_elsewhere_after_signing_in(team: Team) -> str:
    """Open redirect: a link to the real page to sign in, and from there to one that looks like it."""
    places = (
        FOREIGN,
        "//attacker.example",
        "/\\attacker.example",
        "\\\\attacker.example",
        "https:attacker.example",
        "/candidates/../../\\attacker.example",
        "/%2f/attacker.example",
        "javascript:alert(1)",
        "/review\r\nLocation: x",
        '"><script>alert(1)</script>',
        "/candidates/a?x=//attacker.example",
    )
    for place in places:
        shown = team.asked("GET", f"{team.services}/sign-in", params={"next": place}).text
        answer = team.asked(
            "POST", f"{team.services}/sign-in", data={"key": team.keys["auditor"], "next": place}
        )
        to = answer.headers.get("location", "")
        if (
            "attacker" in to + shown
            or "alert(1)" in to + shown
            or answer.headers.get("x")
            or not to.startswith("/")
        ):
            return f"{place} leads to {to}"
    return ""


@on_team
def the_session_cookie_is_taken(team: Team) -> str:
    """By a script, by another site's request, or from the network."""
    cookie = _signed_in(team, team.keys["auditor"])
    wanted = {"httponly": True, "secure": True, "samesite": "strict", "path": "/", "domain": ""}
    loose = {name: cookie[name] for name, value in wanted.items() if cookie[name] != value}
    if loose:
        return f"its flags are {loose}"
    lasts = int(cookie["max-age"])
    return f"it lasts {lasts} s" if not 0 < lasts <= 12 * 3600 else ""


@on_team
def the_network_reaches_what_knows_no_keys(team: Team) -> str:
    """Broker, tables and model server, at the address that was opened."""
    ports = [
        int(one.rpartition(":")[2].partition("/")[0]) for one in (team.target.kafka, team.target.clickhouse)
    ]
    ports.append(int(team.target.models.rpartition(":")[2]))
    said = []
    for port in ports:
        try:
            connected(f"http://{team.host}:{port}").close()
            said.append(f"{team.host}:{port} answers")
        except OSError:
            continue
    return "; ".join(said)


@on_team
def a_secret_lies_where_others_look(team: Team) -> str:
    """Arguments of processes, which every user of a machine sees, logs, and files that others may read."""
    data = team.target.data
    files = ("session-key", "subject-key", "state/services/host-key")
    secrets = {*team.keys.values(), *((data / name).read_text().strip() for name in files)}
    said = [
        f"an argument of {process.name()}"
        for process in team.target.process.children(recursive=True)
        if any(secret in " ".join(process.cmdline()) for secret in secrets)
    ]
    said += [
        file.name
        for file in (data / "logs").iterdir()
        if any(one in file.read_text("utf-8", "replace") for one in secrets)
    ]
    said += [
        f"{path}, mode {path.stat().st_mode & 0o777:o}"
        for path in (data, *(data / name for name in files))
        if path.stat().st_mode & 0o077
    ]
    return f"a secret lies in {', '.join(said)}" if said else ""


def _reads(team: Team) -> tuple[str, str]:
    """What an operator's key opens at each door."""
    return f"{team.gateway}/v1/models", f"{team.services}/workloads"


@dataclass(frozen=True)
class Route:
    method: str
    url: str


def _routes(team: Team) -> dict[str, Route]:
    """By method and path: all that the doors' own documents list, each at an address of nothing."""
    found = {}
    for door, url in team.doors.items():
        document = team.asked("GET", f"{url}/openapi.json", team.keys["operator"]).json()
        for path, operations in document["paths"].items():
            for method in () if OPEN.match(path) else set(METHODS) & set(operations):
                filled = url + re.sub(r"\{[^}]*\}", NOWHERE, path)
                what = f"{method.upper()} {path}"
                found[f"{what} at {door}" if what in found else what] = Route(method.upper(), filled)
    if len(found) < MANY:
        raise RuntimeError(f"the documents list {len(found)} routes")
    return found


def _changing(team: Team) -> dict[str, Route]:
    return {what: route for what, route in _routes(team).items() if route.method != "GET"}


def _asked_each(team: Team, key: str, routes: Mapping[str, Route]) -> dict[str, int]:
    return {
        what: team.asked(route.method, route.url, key, json=None if route.method == "GET" else {}).status_code
        for what, route in routes.items()
    }


def _refused_to_operators(team: Team, routes: Mapping[str, Route]) -> str:
    """What is refused to everybody, or does not work, is not refused to whom it is to be."""
    said = _asked_each(team, team.keys["operator"], routes)
    broken = [f"{what} answers {status}" for what, status in said.items() if status in OUT or status >= 500]
    return f"to an operator {', '.join(broken)}, so nothing is proved" if broken else ""


def _signed_in(team: Team, key: str) -> Morsel[str]:
    found = _session_of(team.asked("POST", f"{team.services}/sign-in", data={"key": key, "next": "/"}))
    assert found is not None, "a key signs in"
    return found


def _session_of(answer: httpx.Response) -> Morsel[str] | None:
    cookies: SimpleCookie = SimpleCookie()
    for one in answer.headers.get_list("set-cookie"):
        cookies.load(one)
    return cookies.get(COOKIE)


def _raw(team: Team, path: str) -> int:
    """The status of a path that no client would send as it stands."""
    parts = urlsplit(team.services)
    with (
        connected(team.services) as plain,
        team.trust.wrap_socket(plain, server_hostname=parts.hostname) as one,
    ):
        one.sendall(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        return int(one.recv(4096).split(b" ", 2)[1])


def _answers(team: Team, url: str, key: str, status: int, **more: Any) -> bool:
    """Within the seconds that a change of keys may take."""
    until = time.monotonic() + KEY_SECONDS
    while time.monotonic() < until:
        if team.asked("GET", url, key, **more).status_code == status:
            return True
        time.sleep(0.1)  # another process: there is nothing to await
    return False


def _process(team: Team, url: str) -> psutil.Process:
    port = url.rpartition(":")[2]
    return next(one for one in team.target.process.children(recursive=True) if port in one.cmdline())


def _part(content: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def _unless_all(said: Mapping[str, int], refused: Iterable[int]) -> str:
    return "; ".join(f"{what} answered {status}" for what, status in said.items() if status not in refused)
