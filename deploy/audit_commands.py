"""`tuneloop audit …`, on whichever installation is asked."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter

from deploy.endings import Ending
from deploy.installation import DATA
from deploy.run_command import Debug, System, asking, run
from deploy.subject_key import subject_key
from deploy.workloads_client import WorkloadsClient
from shared.access.audit_chain import Head, Link, Verification
from shared.access.person_id import person_id

audit_app = typer.Typer(no_args_is_help=True, help="The audit log: who did what, when, and from where.")
PAGE = 1000


@dataclass(frozen=True)
class Chain:
    """Of one partition of the log, up to where the service noted it."""

    partition: int
    number: int
    hash: str


_chains, _links = TypeAdapter(list[Chain]), TypeAdapter(list[Link])


@audit_app.command("export")
def export(context: typer.Context, data: System = None, debug: Debug = False) -> None:
    """Write the whole log to standard output, a JSON object a line, chain after chain."""

    async def exported() -> None:
        async with asking(context, data) as (client, _):
            for chain in await _chains_of(client):
                async for link in _links_of(client, chain.partition):
                    row = {"partition": chain.partition, "number": link.number, "hash": link.hash}
                    typer.echo(json.dumps(row | {"action": json.loads(link.action)}, ensure_ascii=False))

    run(exported(), debug)


@audit_app.command("verify")
def verify(context: typer.Context, data: System = None, debug: Debug = False) -> None:
    """Say whether the log is whole, or where it is not. The exit code is 1 if it is not."""

    async def verified() -> Ending:
        rows, broken = 0, list[str]()
        async with asking(context, data) as (client, _):
            chains = await _chains_of(client)
            for chain in chains:
                verification = Verification(chain.partition, [Head(chain.number, chain.hash)])
                if said := await _breaks(verification, _links_of(client, chain.partition)):
                    broken.append(f"Chain {chain.partition} breaks: {said}.")
                rows += verification.rows
        if broken:
            return Ending("\n".join(broken), exit_code=1)
        return Ending(f"The audit log is whole; rows: {rows}, chains: {len(chains)}.")

    run(verified(), debug)


@audit_app.command("who")
def who(
    context: typer.Context,
    issuer: Annotated[str, typer.Argument(help="The provider, as OIDC_ISSUER names it.")],
    subjects: Annotated[list[str], typer.Argument(help="The `sub` that it has for each person.")],
    data: Annotated[
        Path | None, typer.Option("--data", help=f"The folder that has the subject key. Without it: {DATA}.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Print the id that people of an OpenID Connect provider have in the log, a line each.

    Nobody is asked, and nothing kept: it is computed, where the subject key can be read.
    """

    async def said() -> None:
        key = subject_key(context.obj, data, os.environ)
        for subject in subjects:
            typer.echo(f"{person_id(key, issuer, subject)} {subject}")

    run(said(), debug)


async def _breaks(verification: Verification, links: AsyncIterator[Link]) -> str:
    async for link in links:
        if said := verification.breaks_at(link):
            return said
    return verification.ends()


async def _chains_of(client: WorkloadsClient) -> list[Chain]:
    return _chains.validate_python(await client.service.ask("GET", "/audit/chains"))


async def _links_of(client: WorkloadsClient, partition: int) -> AsyncIterator[Link]:
    after = 0
    while True:
        query = [("after", str(after)), ("limit", str(PAGE))]
        links = _links.validate_python(
            await client.service.ask("GET", f"/audit/chains/{partition}", query=query)
        )
        for link in links:
            yield link
        if len(links) < PAGE:
            return
        after = links[-1].number
