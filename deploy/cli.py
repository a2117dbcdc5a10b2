"""`tuneloop`: the one entry point."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer
from rich.console import Console
from rich.table import Table

from deploy.demo.run import run_demo
from deploy.follow import LoopStopped
from deploy.laptop.laptop import Laptop, LaptopError, LaptopSettings, running, start_laptop
from deploy.output_encoding import replace_what_cannot_be_encoded
from deploy.workloads.definition import BadWorkload
from deploy.workloads.install import install, install_demo
from services.workloads.answer_tokens import NoTokenLeft
from shared.model_server import ModelServerDown
from shared.service_client import ServiceAway, ServiceClient, ServiceRefused

replace_what_cannot_be_encoded(sys.stdout, sys.stderr)
app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="The whole loop around a fine-tuned LLM: log, find failures, correct, retrain, shadow, promote.",
)
workload_app = typer.Typer(no_args_is_help=True, help="Workloads: one task of one app each.")
cycle_app = typer.Typer(no_args_is_help=True, help="Cycles: once round the loop.")
app.add_typer(workload_app, name="workload")
app.add_typer(cycle_app, name="cycle")
terminal = Console()
errors = Console(stderr=True)

DataFolder = Annotated[Path, typer.Option("--data", help="The folder that holds everything.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
DATA = Path(".tuneloop/up")
EXPECTED = (
    BadWorkload,
    LaptopError,
    LoopStopped,
    ModelServerDown,
    NoTokenLeft,
    ServiceAway,
    ServiceRefused,
    aiohttp.ClientError,
    TimeoutError,
)


@app.command()
def up(
    data: DataFolder = DATA,
    kafka_port: int = 9092,
    clickhouse_port: int = 8123,
    models_port: int = 8000,
    gateway_port: int = 8080,
    services_port: int = 8081,
    with_demo: Annotated[bool, typer.Option(help="Install the demo workload if it is not there.")] = False,
    debug: Debug = False,
) -> None:
    """Start everything and keep it running until Ctrl-C. Data survive in the data folder."""
    settings = LaptopSettings(
        data=data, kafka_port=kafka_port, clickhouse_port=clickhouse_port, models_port=models_port,
        gateway_port=gateway_port, services_port=services_port,
    )  # fmt: skip

    async def keep_running() -> None:
        async with start_laptop(settings, _show_step) as laptop:
            _say_where(laptop)
            if with_demo:
                await install_demo(laptop, terminal)
            await laptop.wait()

    _run(keep_running(), debug)


@app.command()
def demo(
    data: DataFolder = Path(".tuneloop/demo"),
    report: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("demo-report.html"),
    services_port: Annotated[int, typer.Option(help="The console's port; 0 takes any free one.")] = 0,
    debug: Debug = False,
) -> None:
    """Go once round the whole loop with a real model and real data, show it, and stop again."""
    settings = LaptopSettings(
        data=data, kafka_port=0, clickhouse_port=0, models_port=0, gateway_port=0, services_port=services_port
    )
    _run(run_demo(settings, report, terminal), debug)


@app.command()
def status(data: DataFolder = DATA, debug: Debug = False) -> None:
    """Show every workload's champion, accuracy and stage."""

    async def show() -> None:
        rows = await _ask("GET", running(data).services_url, "/workloads")
        if not rows:
            terminal.print("No workload yet. Add one: tuneloop workload add FILE.toml")
            return
        table = Table("workload", "champion", "accuracy (95 %)", "predictions", "open reviews", "stage")
        for row in rows:
            more = await _ask("GET", running(data).services_url, f"/workloads/{row['name']}/status")
            accuracy = row.get("accuracy")
            table.add_row(
                row["name"],
                row.get("champion") or "none yet",
                f"{100 * accuracy['value']:.1f} % of {accuracy['n']} "
                f"({100 * accuracy['low']:.1f}–{100 * accuracy['high']:.1f})" if accuracy else "–",
                str(more["predictions"]), str(more["open_reviews"]), more["stage"],
            )  # fmt: skip
        terminal.print(table)

    _run(show(), debug)


@workload_app.command("add")
def workload_add(
    file: Annotated[Path, typer.Argument(help="The workload's TOML file; it names its rows.")],
    data: DataFolder = DATA,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before training starts.")] = False,
    debug: Debug = False,
) -> None:
    """Check a workload, say what it costs here, train its first model, and open the gateway for it."""

    async def add() -> None:
        await install(file, running(data), terminal, ask=not yes)

    _run(add(), debug)


@cycle_app.command("start")
def cycle_start(
    workload: str,
    data: DataFolder = DATA,
    reason: str = "asked for on the command line",
    debug: Debug = False,
) -> None:
    """Start a cycle now: cluster failures, make a dataset, train and try a candidate."""
    _run(_post(data, f"/workloads/{workload}/cycles", reason, "A cycle starts"), debug)


@app.command()
def rollback(
    workload: str,
    data: DataFolder = DATA,
    reason: str = "asked for on the command line",
    debug: Debug = False,
) -> None:
    """Bring back the champion before the present one."""
    _run(_post(data, f"/workloads/{workload}/rollback", reason, "The previous champion comes back"), debug)


async def _post(data: Path, path: str, reason: str, words: str) -> None:
    url = running(data).services_url
    answer = await _ask("POST", url, path, {"requested_by": "command line", "reason": reason})
    terminal.print(f"{words} ({next(iter(answer.values()))}). Watch it: {url}")


async def _ask(method: str, url: str, path: str, body: Any = None) -> Any:
    async with ServiceClient(url) as client:
        return await client.ask(method, path, body=body)


def _show_step(step: str, detail: str) -> None:
    terminal.print(f"{step:<12} {detail}", soft_wrap=True, highlight=False, markup=False)


def _say_where(laptop: Laptop) -> None:
    terminal.print(
        f"\n[bold]tuneloop is up[/]\n  console   {laptop.services_url}\n  gateway   {laptop.gateway_url}/v1\n"
        f"  Kafka     {laptop.addresses.kafka_bootstrap_servers}\nCtrl-C stops it.",
        highlight=False,
    )


def _run(work: Coroutine[Any, Any, Any], debug: bool) -> Any:
    """Runs it; an expected error is one line and exit code 1, Ctrl-C leaves quietly."""
    logging.basicConfig(level=logging.DEBUG if debug else logging.ERROR)
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        errors.print("Stopped.")
        raise typer.Exit(130) from None
    except EXPECTED as error:
        if debug:
            raise
        errors.print(str(error), style="red", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
