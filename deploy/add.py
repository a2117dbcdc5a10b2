"""`tuneloop workload add`: files are uploaded and checked, the cost is said, and training is followed."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path

import typer
from rich.console import Console

from deploy.answer_words import answers_in_words
from deploy.endings import Ending, ending, nothing_differs, nothing_trained
from deploy.expected_error import ExpectedError
from deploy.follow import Follower
from deploy.installation import Installation
from deploy.stages import Stages
from deploy.workloads_client import Checked, Upload, WorkloadsClient
from shared.service_client import ServiceAway, ServiceClient, ServiceRefused

OPEN_SECONDS = 60.0


def read_upload(file: Path) -> Upload:
    """The files as they are: whatever is wrong in them, the service says with its line.

    Raises ExpectedError for a file that cannot be read.
    """
    definition = _content("workload", file)
    try:
        rows = tomllib.loads(definition.decode("utf-8-sig")).get("rows")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        rows = None
    if not isinstance(rows, str) or "://" in rows:
        return Upload(file.name, definition)
    beside = file.parent / rows
    return Upload(file.name, definition, beside.name, _content("rows", beside))


async def add(
    workloads: WorkloadsClient, upload: Upload, where: Installation, console: Console, *, ask: bool,
    follower: Follower,
) -> Ending:  # fmt: skip
    """Raises ServiceRefused with every complaint about the files, and ServiceAway."""
    checked = await workloads.check(upload)
    if not checked.differs:
        return nothing_differs(checked)
    for line in before_it_starts(checked):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if ask and console.is_terminal:
        typer.confirm("Go on?", default=True, abort=True)
    added = await workloads.add(upload)
    if added.round_id is None:
        return nothing_trained(added)
    with Stages(console) as stages:
        round_ = await follower.follow(workloads, where, added.name, added.round_id, stages)
        end = ending(added.name, round_)
        if end.exit_code == 0 and where.gateway_url:
            with stages.stage("gateway", "opening") as stage:
                await _until_open(where, added.name)
                stage.sentence = (
                    f'ask {where.shown_gateway_url or where.gateway_url}/v1 for the model "{added.name}"'
                )
    if console.is_terminal:  # in a pipe every line stands there already
        console.print(stages.summary(), highlight=False)
    return end


def before_it_starts(checked: Checked) -> list[str]:
    """What a person should know before it starts."""
    often = checked.repeated_texts
    repeated = f", {often} texts more than once (kept once)" if often else ""
    line = f"{checked.name}: {checked.rows} rows, {checked.labels} labels{repeated}."
    if checked.trains and checked.expected_minutes is not None:
        line += f" Training and evaluating takes about {max(1.0, checked.expected_minutes):.0f} min there."
    return [line, *(f"  {said}" for said in [*checked.changes, *answers_in_words(checked)])]


def _content(what: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ExpectedError(f"{what} {file}: cannot be read ({error.strerror}).") from None


async def _until_open(where: Installation, name: str) -> None:
    """The gateway has its champion a moment after the verdict. Raises ExpectedError if it has not."""
    gateway = ServiceClient(where.gateway_url, key=where.key)
    try:
        async with asyncio.timeout(OPEN_SECONDS), gateway:
            while True:
                try:
                    if name in {row["id"] for row in (await gateway.ask("GET", "/v1/models"))["data"]}:
                        return
                except (ServiceAway, ServiceRefused):
                    pass
                await asyncio.sleep(0.5)
    except TimeoutError:
        raise ExpectedError(
            f"The gateway at {where.gateway_url} does not list {name} yet. Check again later: tuneloop status"
        ) from None
