"""`tuneloop train`, `tuneloop runs …` and `tuneloop adapters …`, on whichever installation is asked."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import Annotated, Any

import typer

from deploy.endings import Ending
from deploy.follow import Follower, with_times
from deploy.run_client import Adapter, Run, RunClient
from deploy.run_command import ASKED, Debug, Json, System, Why, asking, errors, run, terminal
from deploy.run_endings import asked_for, run_as_json, run_ending
from deploy.settings_given import settings_given
from deploy.stages import Stages
from deploy.tables import print_table
from deploy.workloads_client import as_json

run_app = typer.Typer(no_args_is_help=True, help="Runs: a candidate trained and evaluated each, or none.")
adapter_app = typer.Typer(no_args_is_help=True, help="Adapters: what was trained, live or not.")

OfWorkload = Annotated[str | None, typer.Option("--workload", help="Only this workload's.")]
RUNS = ("run", "workload", "method", "dataset", "state", "what")
ADAPTERS = ("adapter", "workload", "state", "method", "rank", "dataset", "rows seen", "signed", "trained")
AFTER_EVALUATION = ("shadow", "promotion")


def train(
    context: typer.Context,
    workload: str,
    method: Annotated[str | None, typer.Option(help="lora, qlora, full or fusion.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE, a setting of the section `training`. Repeat it."),
    ] = None,
    adapters: Annotated[
        list[str] | None, typer.Option("--adapter", help="One that a fusion is made of. Repeat it.")
    ] = None,
    dataset: Annotated[int | None, typer.Option(min=1, help="Its version. Default: the newest.")] = None,
    data: System = None,
    reason: Why = ASKED,
    in_json: Annotated[bool, typer.Option("--json", help="End with one JSON line.")] = False,
    debug: Debug = False,
) -> None:
    """Train a candidate on a dataset that is there, and follow it until it is evaluated or has failed."""
    console = errors if in_json else terminal
    follower = Follower(end_at=AFTER_EVALUATION)

    async def trained() -> Ending | None:
        given = settings_given(method, settings or [])
        async with asking(context, data) as (workloads, where):
            runs, key = RunClient(workloads.service), uuid.uuid4().hex
            accepted = await runs.train(workload, given, dataset, adapters or [], reason, key)
            said = asked_for(workload, accepted.run_id)
            console.print(said, soft_wrap=True, highlight=False, markup=False)
            with Stages(console) as stages:
                await follower.follow(workloads, where, workload, accepted.round_id, stages)
            found = await runs.run(accepted.run_id)
        if in_json:
            typer.echo(json.dumps(run_as_json(found)))
            end = run_ending(found)
            return end if end.exit_code else None  # what went wrong goes to standard error
        if terminal.is_terminal:  # in a pipe every line stands there already
            terminal.print(stages.summary(), highlight=False)
        return run_ending(found)

    run(trained(), debug, follower, ends_in_json=in_json)


@run_app.command("list")
def list_runs(
    context: typer.Context,
    workload: OfWorkload = None,
    data: System = None,
    in_json: Json = False,
    debug: Debug = False,
) -> None:
    """List runs, the newest first."""

    async def show() -> None:
        async with asking(context, data) as (workloads, _):
            found = await RunClient(workloads.service).runs(workload)
        if in_json:
            typer.echo(as_json([one.model_dump(mode="json") for one in found]))
        elif found:
            print_table(terminal, RUNS, [_run_row(one) for one in found])
        else:
            terminal.print("No run yet.", highlight=False)

    run(show(), debug)


@run_app.command("cancel")
def cancel_run(
    context: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Its id, or how that begins.")],
    data: System = None,
    reason: Why = ASKED,
    debug: Debug = False,
) -> None:
    """End a run before it is evaluated. It has failed then, and nothing of it is kept."""

    async def cancel() -> Ending:
        async with asking(context, data) as (workloads, _):
            ended = await RunClient(workloads.service).cancel(run_id, reason)
        return Ending(f"Run {ended} ends now. See: tuneloop runs list")

    run(cancel(), debug)


@adapter_app.command("list")
def list_adapters(
    context: typer.Context,
    workload: OfWorkload = None,
    data: System = None,
    in_json: Json = False,
    debug: Debug = False,
) -> None:
    """List adapters, the newest first."""

    async def show() -> None:
        async with asking(context, data) as (workloads, _):
            found = await RunClient(workloads.service).adapters(workload)
        if in_json:
            typer.echo(as_json(found))
            return
        adapters = [Adapter.model_validate(one) for one in found]
        if not adapters:
            terminal.print("No adapter yet. The first is trained when a workload is added.", highlight=False)
            return
        print_table(terminal, ADAPTERS, [_adapter_row(one) for one in adapters])
        for one in adapters:
            for warning in one.warnings:
                terminal.print(f"{one.name}: {warning}", soft_wrap=True, highlight=False, markup=False)

    run(show(), debug)


@adapter_app.command("show")
def show_adapter(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name, or how that begins.")],
    data: System = None,
    debug: Debug = False,
) -> None:
    """Show all that is known of an adapter, with every setting it was trained by, as JSON."""

    async def show() -> None:
        async with asking(context, data) as (workloads, _):
            typer.echo(as_json(await RunClient(workloads.service).adapter(name)))

    run(show(), debug)


def _run_row(one: Run) -> tuple[str, ...]:
    what = with_times(one.sentence, one.seconds_left, one.waits_since)
    return (one.run_id, one.workload, one.method or "–", _version(one), one.state, what)


def _adapter_row(one: Adapter) -> tuple[str, ...]:
    return (
        one.name,
        one.workload,
        one.state,
        one.method,
        "–" if one.lora_r is None else str(one.lora_r),
        _version(one),
        f"{one.train_rows if one.rows_seen is None else one.rows_seen:,} of {one.train_rows:,}",
        {True: "yes", False: "no", None: "unknown"}[one.is_signed],
        _day(one.trained_at),
    )


def _version(one: Any) -> str:
    return "–" if one.dataset_version is None else f"v{one.dataset_version}"


def _day(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"
