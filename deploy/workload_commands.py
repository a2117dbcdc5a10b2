"""`tuneloop workload …` and `tuneloop cycle …`, on whichever installation is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.add import add, read_upload
from deploy.endings import Ending, ending
from deploy.follow import Follower
from deploy.run_command import ASKED, Debug, Json, System, Why, Yes, asking, run, terminal
from deploy.stages import Stages
from deploy.status import print_list
from deploy.workloads_client import as_json

workload_app = typer.Typer(no_args_is_help=True, help="Workloads: one task of one app each.")
cycle_app = typer.Typer(no_args_is_help=True, help="Cycles: once round the loop.")


@workload_app.command("add")
def workload_add(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The workload's TOML file; it names its rows.")],
    data: System = None,
    yes: Yes = False,
    debug: Debug = False,
) -> None:
    """Check a workload, say what it costs, train what is new in it, and follow until its model answers."""
    follower = Follower()

    async def added() -> Ending:
        async with asking(context, data) as (workloads, where):
            upload = read_upload(file)
            return await add(workloads, upload, where, terminal, ask=not yes, follower=follower)

    run(added(), debug, follower)


@workload_app.command("list")
def workload_list(
    context: typer.Context,
    data: System = None,
    retired: Annotated[bool, typer.Option("--retired", help="Retired ones too.")] = False,
    in_json: Json = False,
    debug: Debug = False,
) -> None:
    """List the workloads."""

    async def show() -> None:
        async with asking(context, data) as (workloads, _):
            listed = await workloads.listed(retired=retired)
        if in_json:
            typer.echo(as_json([one.model_dump(mode="json") for one in listed]))
        else:
            print_list(terminal, listed)

    run(show(), debug)


@workload_app.command("show")
def workload_show(context: typer.Context, name: str, data: System = None, debug: Debug = False) -> None:
    """Show a workload's definition and revision, as JSON."""

    async def show() -> None:
        async with asking(context, data) as (workloads, _):
            typer.echo(as_json(await workloads.definition(name)))

    run(show(), debug)


@workload_app.command("retire")
def workload_retire(
    context: typer.Context,
    name: str,
    data: System = None,
    reason: Why = ASKED,
    yes: Yes = False,
    debug: Debug = False,
) -> None:
    """Let a workload rest: no answers, no reviews, no cycles. Data are kept; adding it brings it back."""

    async def retire() -> Ending:
        async with asking(context, data) as (workloads, _):
            if not yes and terminal.is_terminal:
                typer.confirm(f"The gateway stops answering for {name}. Go on?", abort=True)
            await workloads.retire(name, reason)
        return Ending(f"{name} is retired. Its data are kept; adding it again brings it back.")

    run(retire(), debug)


@workload_app.command("follow")
def workload_follow(context: typer.Context, name: str, data: System = None, debug: Debug = False) -> None:
    """Come back to the round that is under way: the first training of a revision, or a cycle."""
    follower = Follower()

    async def follow() -> Ending:
        async with asking(context, data) as (workloads, where):
            latest = (await workloads.status(name)).round
            if latest is None:
                return Ending(f"{name}: there is nothing to follow yet.")
            with Stages(terminal) as stages:
                round_ = await follower.follow(workloads, where, name, latest.round_id, stages)
            return ending(name, round_)

    run(follow(), debug, follower)


@cycle_app.command("start")
def cycle_start(
    context: typer.Context,
    workload: str,
    data: System = None,
    reason: Why = ASKED,
    follow: Annotated[
        bool | None, typer.Option("--follow/--no-follow", help="Default: where there is a terminal.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Start a cycle now: cluster failures, make a dataset, train and try a candidate."""
    follower = Follower()

    async def start() -> Ending:
        async with asking(context, data) as (workloads, where):
            cycle = await workloads.start_cycle(workload, reason)
            said = f"Cycle {cycle.cycle_id}: {cycle.failures} failures, {cycle.corrections} corrections."
            if not (terminal.is_terminal if follow is None else follow):
                return Ending(f"{said} Follow it: tuneloop workload follow {workload}")
            terminal.print(said, soft_wrap=True, highlight=False)
            with Stages(terminal) as stages:
                round_ = await follower.follow(workloads, where, workload, cycle.cycle_id, stages)
            if terminal.is_terminal:  # in a pipe every line stands there already
                terminal.print(stages.summary(), highlight=False)
            return ending(workload, round_)

    run(start(), debug, follower)
