"""`tuneloop`: the one entry point. Commands that start a laptop import what that needs when they run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from deploy.audit_commands import audit_app
from deploy.dead_letter_commands import dead_letter_app
from deploy.endings import Ending
from deploy.installation import DATA
from deploy.key_commands import key_app
from deploy.output_encoding import replace_what_cannot_be_encoded
from deploy.run_command import ASKED, Debug, Json, System, Why, asking, run, terminal
from deploy.run_commands import adapter_app, run_app, train
from deploy.status import print_status, print_what_waits, status_as_json, what_waits
from deploy.waiting_client import WaitingClient
from deploy.workload_commands import cycle_app, workload_app

replace_what_cannot_be_encoded(sys.stdout, sys.stderr)
app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="The whole loop around a fine-tuned LLM: log, find failures, correct, retrain, shadow, promote.",
)
app.add_typer(workload_app, name="workload")
app.add_typer(cycle_app, name="cycle")
app.add_typer(run_app, name="runs")
app.add_typer(adapter_app, name="adapters")
app.add_typer(key_app, name="keys")
app.add_typer(audit_app, name="audit")
app.add_typer(dead_letter_app, name="dead-letters")
app.command()(train)

DataFolder = Annotated[Path, typer.Option("--data", help="The folder that holds everything.")]


@app.callback()
def main(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            help="Operate the installation whose service `workloads` answers here. Default: TUNELOOP_URL.",
        ),
    ] = None,
) -> None:
    context.obj = url


@app.command()
def up(
    data: DataFolder = DATA,
    kafka_port: int = 9092,
    clickhouse_port: int = 8123,
    models_port: int = 8000,
    gateway_port: int = 8080,
    services_port: int = 8081,
    with_demo: Annotated[bool, typer.Option(help="Install the demo workload if it is not there.")] = False,
    fsync: Annotated[
        bool,
        typer.Option("--fsync", help="Acknowledge records when they are on the disk: for power failures."),
    ] = False,
    host: Annotated[
        str | None,
        typer.Option(
            help="An address of this machine on which others reach gateway and console, too: with keys, and "
            "by TLS (HTTP_TLS_CERTIFICATE, HTTP_TLS_KEY)."
        ),
    ] = None,
    plain_http: Annotated[
        bool,
        typer.Option("--plain-http", help="No TLS there: whoever reads along has every key that is sent."),
    ] = False,
    debug: Debug = False,
) -> None:
    """Start everything and keep it running until Ctrl-C. Data survive in the data folder.

    Where TUNELOOP_VLLM_PYTHON names an interpreter that has vLLM, that one answers in place of the CPU model
    server.
    """
    from deploy.demo.install import install_demo
    from deploy.laptop.laptop import LaptopSettings, start_laptop
    from deploy.laptop.opening import refuse_no_host

    settings = LaptopSettings(
        data=data, kafka_port=kafka_port, clickhouse_port=clickhouse_port, models_port=models_port,
        gateway_port=gateway_port, services_port=services_port, fsync=fsync, host=host or "",
        is_plain=plain_http,
    )  # fmt: skip

    async def keep_running() -> None:
        refuse_no_host(host)
        async with start_laptop(settings, _show_step) as laptop:
            terminal.print(
                f"\n[bold]tuneloop is up[/]\n  console   {laptop.shown_services_url}\n"
                f"  gateway   {laptop.shown_gateway_url}/v1\n"
                f"  Kafka     {laptop.addresses.kafka_bootstrap_servers}\nCtrl-C stops it.",
                highlight=False,
            )
            if with_demo:
                await install_demo(laptop, terminal)
            await laptop.wait()

    run(keep_running(), debug)


@app.command()
def demo(
    data: DataFolder = Path(".tuneloop/demo"),
    report: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("demo-report.html"),
    services_port: Annotated[int, typer.Option(help="The console's port; 0 takes any free one.")] = 0,
    debug: Debug = False,
) -> None:
    """Go once round the whole loop with a real model and real data, show it, and stop again."""
    from deploy.demo.run import run_demo
    from deploy.laptop.laptop import LaptopSettings

    settings = LaptopSettings(
        data=data, kafka_port=0, clickhouse_port=0, models_port=0, gateway_port=0, services_port=services_port
    )
    run(run_demo(settings, report, terminal), debug)


@app.command()
def status(context: typer.Context, data: System = None, in_json: Json = False, debug: Debug = False) -> None:
    """Show every workload's champion, accuracy and stage, and what waits in the installation."""

    async def show() -> None:
        async with asking(context, data) as (workloads, where):
            statuses = [await workloads.status(one.name) for one in await workloads.listed()]
            waits = await what_waits(WaitingClient(workloads.service))
        if in_json:
            typer.echo(status_as_json(where.url, statuses, waits))
        else:
            print_status(terminal, statuses)
            print_what_waits(terminal, waits)

    run(show(), debug)


@app.command()
def rollback(
    context: typer.Context, workload: str, data: System = None, reason: Why = ASKED, debug: Debug = False
) -> None:
    """Bring back the champion before the present one."""

    async def roll_back() -> Ending:
        async with asking(context, data) as (workloads, _):
            request = await workloads.roll_back(workload, reason)
        return Ending(f"{workload}: the previous champion comes back ({request}). See: tuneloop status")

    run(roll_back(), debug)


def _show_step(step: str, detail: str) -> None:
    terminal.print(f"{step:<12} {detail}", soft_wrap=True, highlight=False, markup=False)
