"""What can be done to the laptop's database by who has no login for it, or only the reader's."""

from __future__ import annotations

import base64
import json
import time
from contextlib import suppress
from urllib.parse import urlsplit

import httpx

from tests.attacks.asking import asked
from tests.attacks.attack import attack
from tests.attacks.target import Target

FOREIGN = {"origin": "http://attacker.example", "content-type": "text/plain"}
"""What a page may send anywhere without being asked first."""
QUESTION = "SELECT 'asked by ' || currentUser()"
BACK_SECONDS = 120.0
"""So long a database that no longer listens may stay away: it is noticed, ended and started again."""
PASSWORDS = "clickhouse-passwords.json"


@attack
def anybody_asks_without_a_password(target: Target) -> str:
    """The engine's own user has no password, and is who comes without a name."""
    ways: dict[str, dict[str, str]] = {
        "nobody": {},
        "default, by Basic": _basic("default", ""),
        "default, by headers": {"x-clickhouse-user": "default"},
    }
    said = {who: _asked(target, QUESTION, headers) for who, headers in ways.items()}
    said["default, in the address"] = _asked(target, QUESTION, {}, "/?user=default")
    return _answered(said)


@attack
def a_login_without_its_password_becomes_another(target: Target) -> str:
    """A name that is known to be there, with a wrong password, and `?user=` beside it."""
    headers = _basic("tuneloop", "guessed")
    return _answered({"default": _asked(target, QUESTION, headers, "/?user=default")})


@attack
def a_foreign_page_reads_what_the_database_answers(target: Target) -> str:
    """Access-Control-Allow-Origin in an answer, or in the answer to a preflight."""
    asks = {"origin": FOREIGN["origin"], "access-control-request-method": "POST"}
    said = {
        "an answer": asked("GET", f"{_url(target)}/?query=SELECT+1", headers=FOREIGN),
        "the ping": asked("GET", f"{_url(target)}/ping", headers=FOREIGN),
        "the preflight": asked("OPTIONS", _url(target), headers=asks),
        "a login's answer": asked("POST", _url(target), headers=FOREIGN | _basic("tuneloop", "guessed")),
    }
    allowed = [what for what, answer in said.items() if "access-control-allow-origin" in answer.headers]
    return f"any origin may read {', '.join(allowed)}" if allowed else ""


@attack
def the_databases_own_pages_are_served(target: Target) -> str:
    """ClickHouse brings consoles of its own, which any visitor of the port gets."""
    paths = ("/play", "/dashboard", "/binary", "/merges", "/replicas_status", "/js/lz-string.js")
    served = [path for path in paths if asked("GET", _url(target) + path).status_code == 200]
    return f"it serves {', '.join(served)}" if served else ""


@attack
def the_reader_becomes_the_engines_user(target: Target) -> str:
    """Who may look asks as who may end the listening. (Of TCP, which takes the same right.)"""
    said = _asked(target, "SYSTEM STOP LISTEN TCP", _reader(target), "/?user=default")
    return "the reader may end the listening" if said.status_code == 200 else ""


@attack
def the_readers_queries_have_no_bounds(target: Target) -> str:
    """One query takes half of the machine's memory, or runs for ever. (Asked for, not tried.)"""
    unbounded = []
    for bounds in (
        ("max_memory_usage_for_user", "max_memory_usage"),
        ("max_execution_time",),
        ("max_result_bytes",),
    ):
        said = [
            _asked(target, f"SELECT toUInt64(getSetting('{one}'))", _reader(target)).text for one in bounds
        ]
        lifted = _asked(target, f"SELECT 1 SETTINGS {bounds[0]} = 0", _reader(target)).status_code == 200
        if lifted or not any(one.strip().isdigit() and int(one) for one in said):
            unbounded.append(bounds[0])
    return f"without a bound, or one that can be lifted: {', '.join(unbounded)}" if unbounded else ""


@attack
def another_user_of_the_machine_reads_the_data(target: Target) -> str:
    """Predictions with people's words, keys and passwords lie in the data folder."""
    mode = target.data.stat().st_mode & 0o777
    return f"the data folder is open to others: {mode:o}" if mode & 0o077 else ""


@attack
def a_foreign_page_ends_the_listening(target: Target) -> str:
    """A cross-site POST, sent without a preflight: the database goes on running and answers nobody again."""
    with suppress(httpx.HTTPError):
        _asked(target, "SYSTEM STOP LISTEN HTTP", FOREIGN)
    return "" if _listens(target) else "nobody reaches the database any more"


@attack
def a_database_that_runs_and_does_not_listen_stays_away(target: Target) -> str:
    """However its listening ended: something has to notice that it answers nobody."""
    with suppress(httpx.HTTPError):
        _asked(
            target, "SYSTEM STOP LISTEN HTTP", _basic("tuneloop", urlsplit(target.clickhouse).password or "")
        )
    until = time.monotonic() + BACK_SECONDS
    while time.monotonic() < until:
        if _listens(target) and target.is_well():
            return ""
        time.sleep(1)  # another process: there is nothing to await
    return f"it is still away after {BACK_SECONDS:.0f} s"


def _url(target: Target) -> str:
    parts = urlsplit(target.clickhouse)
    return f"http://{parts.hostname}:{parts.port}"


def _asked(target: Target, statement: str, headers: dict[str, str], path: str = "/") -> httpx.Response:
    return asked("POST", _url(target) + path, headers=headers, content=statement)


def _answered(said: dict[str, httpx.Response]) -> str:
    taken = [f"{who}: {answer.text.strip()}" for who, answer in said.items() if answer.status_code == 200]
    return "; ".join(taken)


def _basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def _reader(target: Target) -> dict[str, str]:
    """What somebody was given who may look at the tables."""
    return _basic("reader", json.loads((target.data / PASSWORDS).read_text())["reader"])


def _listens(target: Target) -> bool:
    try:
        return asked("GET", f"{_url(target)}/ping").status_code == 200
    except httpx.HTTPError:
        return False
