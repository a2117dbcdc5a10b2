"""How every command runs: which installation it asks, how it ends, and what it says of errors."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer

from deploy.endings import Ending, left
from deploy.expected_error import ExpectedError
from deploy.follow import Follower
from deploy.installation import DATA, Installation, installation
from deploy.terminal import Terminal
from deploy.workloads_client import WorkloadsClient
from shared.http_tls import CannotUseTls, trusted_with
from shared.model_server import ModelServerDown
from shared.service_client import ServiceAway, ServiceClient, ServiceRefused

terminal = Terminal()
errors = Terminal(stderr=True)

System = Annotated[
    Path | None,
    typer.Option("--data", help=f"Ask what runs over this folder. Without it: --url, else {DATA}."),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask first.")]
Why = Annotated[str, typer.Option("--reason", help="Kept with what follows from it.")]
ASKED = "asked for on the command line"
EXPECTED = (
    ExpectedError,
    CannotUseTls,
    ServiceAway,
    ServiceRefused,
    ModelServerDown,
    aiohttp.ClientError,
    TimeoutError,
)
CHECK_SECONDS = 600.0  # of a large file, with every text counted in tokens
STARTED_SECONDS = 20.0  # until a service that has just started takes what it decides about


def client_of(where: Installation) -> ServiceClient:
    """Of the service `workloads`; to be used inside `async with`."""
    return ServiceClient(
        where.url,
        timeout_seconds=CHECK_SECONDS,
        patience_seconds=STARTED_SECONDS,
        key=where.key,
        tls=trusted_with(where.ca),
        plain=where.plain,
    )


@asynccontextmanager
async def asking(
    context: typer.Context, data: Path | None
) -> AsyncIterator[tuple[WorkloadsClient, Installation]]:
    where = installation(context.obj, data, os.environ)
    async with client_of(where) as service:
        yield WorkloadsClient(service), where


def run(
    work: Coroutine[Any, Any, Ending | None],
    debug: bool,
    follower: Follower | None = None,
    *,
    ends_in_json: bool = False,
) -> None:
    """Runs it and says how it ended.

    An expected error is one line and exit code 1; where the command is to end with a JSON line, that of
    standard output is then `{"error": …}`. Ctrl-C leaves quietly: what was followed goes on by itself.
    """
    logging.basicConfig(level=logging.DEBUG if debug else logging.ERROR)
    try:
        end = asyncio.run(work)
    except KeyboardInterrupt:
        if follower is None or follower.round is None:
            errors.print("Stopped.")
            raise typer.Exit(130) from None
        end = left(follower.workload, follower.round, follower.review_page)
        end = end if terminal.is_terminal else replace(end, exit_code=130)
    except EXPECTED as error:
        if debug:
            raise
        what_to_do = " Is it up? --url, TUNELOOP_URL or --data says which one is asked."
        said = f"{error}{what_to_do}" if isinstance(error, ServiceAway) else str(error)
        if ends_in_json:
            typer.echo(json.dumps({"error": said}))
        errors.print(said, style="red", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    if end is not None:
        where = errors if end.exit_code else terminal
        where.print(end.words, highlight=False, markup=False, soft_wrap=True)
        if end.exit_code:
            raise typer.Exit(end.exit_code)
