"""Who wants that nobody learns what they did, or to learn what others did without being an auditor."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

from shared.access.api_key import key_id_of, new_key
from shared.clickhouse import ClickHouse, clickhouse_at
from tests.attacks.asking import asked, run_async
from tests.attacks.attack import attack
from tests.attacks.target import Target
from tests.attacks.team import Team, on_team
from tests.servers.model import ROOT

SHOWS_SECONDS = 20.0
VERIFY_SECONDS = 120.0
COLUMNS = "partition, number, action_id, action, hash"
WISH = {"reason": "nobody shall know"}


@attack
def an_operator_acts_unseen(target: Target) -> str:
    """What changes something, asked for at the service itself."""
    path = _done(target)
    return "" if _shows(target, path) else f"POST {path} is on no record"


@attack
def a_row_of_the_audit_log_is_altered(target: Target) -> str:
    """By whoever may write to the tables: the deed becomes somebody else's."""
    return _tampered(target, "ALTER TABLE audit_log UPDATE action = replace(action, 'local', 'p-1')")


@attack
def a_row_of_the_audit_log_is_removed(target: Target) -> str:
    """One in the middle."""
    return _tampered(target, "ALTER TABLE audit_log DELETE")


@attack
def the_end_of_the_audit_log_is_cut_off(target: Target) -> str:
    """What is left is a whole chain: it only ends sooner."""
    return _tampered(target, "ALTER TABLE audit_log DELETE", is_last=True)


@on_team
def a_reviewers_key_reads_the_audit_log(team: Team) -> str:
    """What each colleague did, when, and from which address: by HTTP, and on the console's page."""
    paths = ("/audit", "/audit/chains", "/audit/chains/0")
    if team.asked("GET", f"{team.services}/audit", team.keys["auditor"]).status_code != 200:
        return "it opens for no auditor, so nothing is proved"
    taken = []
    for role in ("reviewer", "app"):
        said = {path: team.asked("GET", team.services + path, team.keys[role]).status_code for path in paths}
        said["the page"] = team.asked(
            "GET", f"{team.services}/audit-log", team.keys[role], headers={"accept": "text/html"}
        ).status_code
        taken += [f"{role}: {what} answered {status}" for what, status in said.items() if status != 403]
    return "; ".join(taken)


@on_team
def somebody_comes_in_unseen(team: Team) -> str:
    """By a key at the page to sign in; and somebody else tries one there that is none."""
    key = team.keys["reviewer"]
    came = {key: (key_id_of(key), 303), new_key().text: ("", 401)}
    for shown, (_, status) in came.items():
        answer = team.asked("POST", f"{team.services}/sign-in", data={"key": shown})
        if answer.status_code != status:
            return f"it is answered {answer.status_code} and not {status}, so nothing is proved"

    def missing() -> str:
        rows = team.asked("GET", f"{team.services}/audit", team.keys["auditor"]).json()
        told = {(row["key_id"], row["status"]) for row in rows if row["path"] == "/sign-in"}
        return ", ".join(f"a sign-in answered {one[1]}" for one in came.values() if one not in told)

    until = time.monotonic() + SHOWS_SECONDS
    while (left := missing()) and time.monotonic() < until:
        time.sleep(0.2)  # another process: there is nothing to await
    return f"on no record: {left}" if left else ""


def _done(target: Target) -> str:
    """The path of something that was asked for and cannot be, and was not asked for before."""
    path = f"/workloads/unseen-{time.time_ns()}/retire"
    asked("POST", target.services + path, json=WISH)
    return path


def _shows(target: Target, path: str) -> bool:
    until = time.monotonic() + SHOWS_SECONDS
    while time.monotonic() < until:
        answer = asked("GET", f"{target.services}/audit")
        if answer.status_code == 200 and any(row["path"] == path for row in answer.json()):
            return True
        time.sleep(0.2)  # another process: there is nothing to await
    return False


def _tampered(target: Target, statement: str, *, is_last: bool = False) -> str:
    """Does it to the row of a deed of its own, and puts that back when it was looked for."""
    paths = [_done(target) for _ in range(2)]
    if not all(_shows(target, path) for path in paths):
        return "what was done is on no record, which is as good"
    if not _is_whole(target):
        return "it was not whole before"
    row = _row(target, paths[-1 if is_last else 0])
    where = f"WHERE partition = {row['partition']} AND number = {row['number']} SETTINGS mutations_sync = 2"
    kept = run_async(_changed(target, f"{statement} {where}", row))
    try:
        return (
            f"row {row['number']} was changed, and the log is said to be whole" if _is_whole(target) else ""
        )
    finally:
        run_async(_put_back(target, kept))
        if not _is_whole(target):
            raise RuntimeError("the row was put back, and the log is still not whole")


def _row(target: Target, path: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = asked("GET", f"{target.services}/audit").json()
    return next(row for row in rows if row["path"] == path)


async def _changed(target: Target, statement: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    """The row as it was."""
    tables = await _tables(target)
    try:
        kept = await tables.rows(
            f"SELECT {COLUMNS} FROM audit_log FINAL "
            "WHERE partition = {partition:Int32} AND number = {number:Int64}",
            partition=row["partition"],
            number=row["number"],
        )
        await tables.command(statement)
    finally:
        await tables.close()
    return kept


async def _put_back(target: Target, rows: list[dict[str, Any]]) -> None:
    tables = await _tables(target)
    try:
        await tables.insert("audit_log", rows)
    finally:
        await tables.close()


async def _tables(target: Target) -> ClickHouse:
    return await clickhouse_at(target.clickhouse).connected()


def _is_whole(target: Target) -> bool:
    """What `tuneloop audit verify` says, and `export` can be read."""
    command = [sys.executable, "-m", "deploy", "audit"]
    where = ["--data", str(target.data)]
    exported = subprocess.run(
        [*command, "export", *where], cwd=ROOT, capture_output=True, timeout=VERIFY_SECONDS, check=True
    )
    for line in exported.stdout.splitlines():
        json.loads(line)
    verified = subprocess.run(
        [*command, "verify", *where], cwd=ROOT, capture_output=True, timeout=VERIFY_SECONDS
    )
    return verified.returncode == 0
