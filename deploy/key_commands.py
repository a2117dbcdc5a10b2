"""`tuneloop keys …`, on whichever installation is asked."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer
from pydantic import BaseModel, TypeAdapter

from deploy.endings import Ending
from deploy.expected_error import ExpectedError
from deploy.run_command import Debug, Json, System, asking, run, terminal
from deploy.tables import print_table
from deploy.workloads_client import as_json
from shared.access.roles import Role

key_app = typer.Typer(no_args_is_help=True, help="Keys: who may come in, and do what.")
COLUMNS = ("key", "whose", "role", "workloads", "until", "principal")
ALL, NEVER = "*", "never"


class Key(BaseModel):
    key_id: str
    name: str
    principal: str
    role: Role
    workloads: list[str] | None
    expires_at: datetime | None
    revoked_at: datetime | None

    def until(self, now: datetime) -> str:
        if self.revoked_at is not None:
            return f"revoked {self.revoked_at:%Y-%m-%d}"
        if self.expires_at is None:
            return "for ever"
        return f"{'expired' if self.expires_at <= now else 'until'} {self.expires_at:%Y-%m-%d}"

    def row(self, now: datetime) -> list[str]:
        workloads = "all" if self.workloads is None else ", ".join(self.workloads)
        return [self.key_id, self.name, self.role.value, workloads, self.until(now), self.principal]


class Made(Key):
    key: str


@key_app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Whose it is: a person's or an app's name.")],
    role: Annotated[Role, typer.Option(help="What it may do.")],
    workloads: Annotated[
        list[str] | None,
        typer.Option("--workload", help="One that it is for. Repeat it; * is all there are and will be."),
    ] = None,
    expires: Annotated[str, typer.Option(help="Days until it expires, or never.")] = "365",
    data: System = None,
    in_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a key. It is shown this once: keep it where secrets are kept."""

    async def made() -> Ending | None:
        wanted = {
            "name": name,
            "role": role.value,
            "workloads": _workloads(role, workloads or []),
            "expires_in_days": _days(expires),
        }
        async with asking(context, data) as (client, _):
            answer = await client.service.ask("POST", "/keys", body=wanted)
        if in_json:
            typer.echo(as_json(answer))
            return None
        key = Made.model_validate(answer)
        terminal.print(f"{key.key}", soft_wrap=True, highlight=False, markup=False)
        return Ending(
            f"The key above is {name}'s, {key.until(datetime.now().astimezone())}. It is not shown again. "
            "Clients of OpenAI's API send it as api_key, others as the header Authorization: Bearer, and "
            "tuneloop reads it from TUNELOOP_KEY."
        )

    run(made(), debug)


@key_app.command("list")
def show(context: typer.Context, data: System = None, in_json: Json = False, debug: Debug = False) -> None:
    """List every key there was, the newest first. None of them can be shown again."""

    async def listed() -> None:
        async with asking(context, data) as (client, _):
            answer: list[dict[str, Any]] = await client.service.ask("GET", "/keys")
        if in_json:
            typer.echo(as_json(answer))
            return
        now = datetime.now().astimezone()
        keys = TypeAdapter(list[Key]).validate_python(answer)
        if keys:
            print_table(terminal, COLUMNS, [key.row(now) for key in keys])
        else:
            terminal.print("There is no key yet. Make one: tuneloop keys create NAME --role ROLE")

    run(listed(), debug)


@key_app.command("revoke")
def revoke(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="Its id, or how that begins.")],
    data: System = None,
    debug: Debug = False,
) -> None:
    """End a key. Within seconds it opens nothing any more."""

    async def revoked() -> Ending:
        async with asking(context, data) as (client, _):
            answer = await client.service.ask("POST", f"/keys/{key}/revoke")
        ended = Key.model_validate(answer)
        return Ending(f"The key {ended.key_id} of {ended.name} is revoked.")

    run(revoked(), debug)


def _workloads(role: Role, named: list[str]) -> list[str] | None:
    """None: all. Raises ExpectedError: an app's key is for what the app does."""
    if ALL in named:
        return None
    if role is Role.APP and not named:
        raise ExpectedError(
            'Say which workloads the app may use: --workload NAME, or --workload "*" for all.'
        )
    return named or None


def _days(said: str) -> int | None:
    """Raises ExpectedError."""
    if said == NEVER:
        return None
    if not said.isdecimal() or int(said) < 1:
        raise ExpectedError(f"--expires takes a number of days, or {NEVER}; “{said}” is neither.")
    return int(said)
