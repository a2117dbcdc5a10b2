"""`tuneloop keys …`, on whichever installation is asked."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, TypeAdapter

from deploy.endings import Ending
from deploy.expected_error import ExpectedError
from deploy.installation import DATA, names_a_url
from deploy.run_command import Debug, Json, System, asking, errors, run, terminal
from deploy.tables import print_table
from deploy.workloads_client import as_json
from shared.access.roles import Role
from shared.service_client import ServiceClient, ServiceRefused

key_app = typer.Typer(no_args_is_help=True, help="Keys: who may come in, and do what.")
COLUMNS = ("key", "whose", "role", "workloads", "until", "principal")
ALL, NEVER = "*", "never"
NO_KEY = "none"
"""What is no key of anybody's."""
TRIES, PAUSE_SECONDS = 100, 0.2
"""How long a key may take until it is known by way of Kafka."""


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
    """Make a key. It is shown this once: keep it where secrets are kept.

    Where nothing runs over the data folder, what keeps keys is started for it and stopped again.
    """

    async def made() -> Ending | None:
        wanted = {
            "name": name,
            "role": role.value,
            "workloads": _workloads(role, workloads or []),
            "expires_in_days": _days(expires),
        }
        async with _where_keys_are_made(context, data), asking(context, data) as (client, _):
            answer = await client.service.ask("POST", "/keys", body=wanted)
            await _until_it_opens(client.service, answer["key"])
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


@asynccontextmanager
async def _where_keys_are_made(context: typer.Context, data: Path | None) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        if not names_a_url(context.obj, data, os.environ):
            with suppress(ModuleNotFoundError):  # the image of a service holds no laptop
                from deploy.laptop.key_desk import key_desk

                await stack.enter_async_context(key_desk((data or DATA).resolve(), _say))
        yield


def _say(step: str, detail: str) -> None:
    errors.print(f"{step:<12} {detail}", soft_wrap=True, highlight=False, markup=False)


async def _until_it_opens(service: ServiceClient, key: str) -> None:
    """Whoever is shown a key may use it at once, and no other. Raises ServiceAway, ExpectedError."""
    for _ in range(TRIES):
        if not await _is_admitted(service, NO_KEY) and await _is_admitted(service, key):
            return
        await asyncio.sleep(PAUSE_SECONDS)
    raise ExpectedError("The key is made and not known yet. It opens as soon as Kafka has told of it.")


async def _is_admitted(service: ServiceClient, key: str) -> bool:
    """Before its first key a laptop admits everybody."""
    try:
        await service.ask("GET", "/keys", key=key)
    except ServiceRefused as refused:
        return refused.status == 403  # it is known, and not for keys
    return True


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
