"""`tuneloop keys …`, on whichever installation is asked."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter

from deploy.endings import Ending
from deploy.expected_error import ExpectedError
from deploy.installation import DATA, names_a_url
from deploy.keys_listed import Key, Made, id_meant, is_last_that_makes_keys
from deploy.run_command import Debug, Json, System, Yes, asking, errors, run, terminal
from deploy.tables import print_table
from deploy.workloads_client import as_json
from shared.access.api_key import MOST_DAYS
from shared.access.roles import Role
from shared.fields import WORKLOAD_NAME_PATTERN
from shared.service_client import ServiceClient, ServiceRefused

key_app = typer.Typer(no_args_is_help=True, help="Keys: who may come in, and do what.")
COLUMNS = ("key", "whose", "role", "workloads", "until", "principal")
ALL, NEVER = "*", "never"
NO_KEY = "none"
"""What is no key of anybody's."""
TRIES, PAUSE_SECONDS = 100, 0.2
"""How long a key may take until it is known by way of Kafka."""
_keys = TypeAdapter(list[Key])


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
    """Make a key. It is shown this once, alone on standard output: keep it where secrets are kept.

    Where nothing runs over the data folder, what keeps keys is started for it and stopped again.
    """

    async def made() -> None:
        wanted = {
            "name": name,
            "role": role.value,
            "workloads": _workloads(role, workloads or []),
            "expires_in_days": _days(expires),
        }
        async with _where_keys_are_made(context, data), asking(context, data) as (client, _):
            answer = await client.service.ask("POST", "/keys", body=wanted)
            _show(answer, in_json=in_json)  # before anything can fail: nobody can show it again
            await _until_it_opens(client.service, answer["key"])

    run(made(), debug)


@key_app.command("list")
def show(context: typer.Context, data: System = None, in_json: Json = False, debug: Debug = False) -> None:
    """List every key there was, the newest first. None of them can be shown again.

    Where nothing runs over the data folder, what keeps keys is started for it and stopped again.
    """

    async def listed() -> None:
        async with _where_keys_are_made(context, data, anew=False), asking(context, data) as (client, _):
            answer: list[dict[str, Any]] = await client.service.ask("GET", "/keys")
        if in_json:
            typer.echo(as_json(answer))
            return
        if keys := _keys.validate_python(answer):
            print_table(terminal, COLUMNS, [key.row(_now()) for key in keys])
        else:
            terminal.print("There is no key yet. Make one: tuneloop keys create NAME --role ROLE")

    run(listed(), debug)


@key_app.command("revoke")
def revoke(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="Its id, or how that begins.")],
    data: System = None,
    yes: Yes = False,
    debug: Debug = False,
) -> None:
    """End a key: where Kafka answers it opens nothing any more within seconds.

    Where nothing runs over the data folder, what keeps keys is started for it and stopped again.
    """

    async def revoked() -> Ending:
        beginning = id_meant(key)
        async with _where_keys_are_made(context, data, anew=False), asking(context, data) as (client, _):
            keys = _keys.validate_python(await client.service.ask("GET", "/keys"))
            if not yes and is_last_that_makes_keys(beginning, keys, _now()):
                _confirmed()
            answer = await client.service.ask("POST", f"/keys/{beginning}/revoke")
        ended = Key.model_validate(answer)
        return Ending(
            f"The key {ended.key_id} of {ended.name} is revoked. The process that keeps keys refuses it at "
            "once, any other within seconds, when Kafka has told it; where Kafka is away, within an hour."
        )

    run(revoked(), debug)


@asynccontextmanager
async def _where_keys_are_made(
    context: typer.Context, data: Path | None, *, anew: bool = True
) -> AsyncIterator[None]:
    """`anew`: also where nothing ever ran."""
    async with AsyncExitStack() as stack:
        if not names_a_url(context.obj, data, os.environ):
            with suppress(ModuleNotFoundError):  # the image of a service holds no laptop
                from deploy.laptop.key_desk import key_desk

                await stack.enter_async_context(key_desk((data or DATA).resolve(), _say, anew=anew))
        yield


def _confirmed() -> None:
    """Raises ExpectedError where nobody can be asked, Abort when the answer is no."""
    said = "It is the last operator's key: after it keys are made on the host of the data folder alone."
    if not terminal.is_terminal:
        raise ExpectedError(f"{said} To revoke it without being asked: --yes")
    typer.confirm(f"{said} Revoke it?", abort=True)


def _now() -> datetime:
    return datetime.now().astimezone()


def _say(step: str, detail: str) -> None:
    errors.print(f"{step:<12} {detail}", soft_wrap=True, highlight=False, markup=False)


def _show(answer: dict[str, Any], *, in_json: bool) -> None:
    if in_json:
        typer.echo(as_json(answer))
        return
    key = Made.model_validate(answer)
    terminal.print(key.key, soft_wrap=True, highlight=False, markup=False)
    errors.print(
        f"This key is {key.name}'s, {key.until(_now())}. It is not shown again. Clients of OpenAI's API "
        "send it as api_key, others as the header Authorization: Bearer, and tuneloop reads it from "
        "TUNELOOP_KEY, or from the file that TUNELOOP_KEY_FILE names.",
        soft_wrap=True, highlight=False, markup=False,
    )  # fmt: skip


async def _until_it_opens(service: ServiceClient, key: str) -> None:
    """When the command ends, the key opens and nothing else does. Raises ServiceAway, ExpectedError."""
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
    for name in named:
        if re.fullmatch(WORKLOAD_NAME_PATTERN, name) is None:
            raise ExpectedError(f"--workload takes a workload's name, and “{name}” cannot be one.")
    return named or None


def _days(said: str) -> int | None:
    """Raises ExpectedError."""
    if said == NEVER:
        return None
    if re.fullmatch(r"[0-9]{1,4}", said) is None or not 1 <= int(said) <= MOST_DAYS:
        raise ExpectedError(f"--expires takes 1 to {MOST_DAYS} days, or {NEVER}; “{said}” is neither.")
    return int(said)
