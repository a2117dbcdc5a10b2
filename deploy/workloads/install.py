"""`tuneloop workload add`: checked, its cost said, trained, and followed until the gateway is open."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import typer
from rich.console import Console

from deploy.demo.licences import licences
from deploy.demo.results import as_percent
from deploy.follow import LoopStopped, follow_to
from deploy.laptop.laptop import Laptop, Running
from deploy.stages import Stages
from deploy.watch import Watch, watching
from deploy.workloads.add import TextTooLong, add_workload, measure_speed
from deploy.workloads.definition import BadWorkload, read_definition
from deploy.workloads.rows import read_rows
from services.workloads.rows import LabelledRow
from shared.events import (
    CandidateEvaluated,
    CandidateJudged,
    CandidateTrained,
    DatasetPublished,
    Verdict,
)
from shared.redaction.rules import cannot_redact
from shared.training_time import expected_minutes
from shared.workload import Workload


async def install(file: Path, system: Running, console: Console, *, ask: bool) -> None:
    """Adds the workload of a TOML file to a running system. Raises BadWorkload, LoopStopped."""
    definition = read_definition(file)
    rows = read_rows(definition.rows, definition.workload.labels)
    await _add(definition.workload, rows, system, console, ask)


async def install_demo(laptop: Laptop, console: Console) -> None:
    """Adds the demo's workload unless it is there already."""
    known = await _get(f"{laptop.services_url}/workloads")
    data = await asyncio.to_thread(licences)
    if data.definition.workload.name not in {row["name"] for row in known}:
        await _add(data.definition.workload, data.rows, laptop, console, ask=False)


async def _add(
    workload: Workload, rows: Sequence[LabelledRow], system: Running | Laptop, console: Console, ask: bool
) -> None:
    if why_not := cannot_redact(workload.language, workload.privacy.entities):
        raise BadWorkload(f"workload {workload.name}: {why_not}")
    try:
        speed = await measure_speed(workload, rows, system.addresses.models_url)
    except TextTooLong as error:
        raise BadWorkload(f"workload {workload.name}: {error}") from None
    minutes = expected_minutes(workload, len(rows), speed.tokens_per_row, speed.tokens_per_second)
    counted = Counter(row.text for row in rows)
    repeated = sum(count > 1 for count in counted.values())
    console.print(
        f"{workload.name}: {len(rows)} rows, {len(workload.labels)} labels"
        + (f", {repeated} texts more than once (kept once)" if repeated else "")
        + f". Training and evaluating the first model takes about {minutes:.0f} min here; at most "
        f"{workload.split.held_out} held-out and {workload.split.golden} golden rows are evaluated.",
        highlight=False,
    )
    if ask and console.is_terminal:
        typer.confirm("Start?", default=True, abort=True)
    with Stages(console) as stages:
        async with watching(system.addresses.kafka_bootstrap_servers) as watch:
            await add_workload(workload, rows, system.addresses)
            await _follow(workload.name, stages, watch)
        with stages.stage("gateway", "opening") as stage:
            await _until_open(f"{system.gateway_url}/v1/models", workload.name)
            stage.sentence = f'ask {system.gateway_url}/v1 for the model "{workload.name}"'
    console.print(stages.summary(), highlight=False)


async def _follow(name: str, stages: Stages, watch: Watch) -> None:
    with stages.stage("dataset", "splitting, redacting, checking") as stage:
        dataset = await follow_to(DatasetPublished, watch, stage, name)
        stage.sentence = (
            f"v{dataset.version}: {dataset.train.rows} training, {dataset.golden.rows} golden, "
            f"{dataset.held_out.rows} held-out rows"
        )
    with stages.stage("training", "starting") as stage:
        trained = await follow_to(CandidateTrained, watch, stage, name)
        stage.sentence = f"{trained.steps} steps in {trained.seconds:.0f} s"
    with stages.stage("evaluation", "starting") as stage:
        evaluated = await follow_to(CandidateEvaluated, watch, stage, name)
        score = evaluated.scorecard
        stage.sentence = f"held-out {as_percent(score.held_out)}; base model {as_percent(score.base_model)}"
    with stages.stage("verdict") as stage:
        judged = await follow_to(CandidateJudged, watch, stage, name)
        stage.sentence = f"{judged.verdict.value}: {judged.reason}"
    if judged.verdict is not Verdict.PROMOTE:
        raise LoopStopped(f"{name} is not open: {judged.reason}")


async def _until_open(models_url: str, name: str) -> None:
    while name not in {row["id"] for row in (await _get(models_url))["data"]}:
        await asyncio.sleep(0.5)


async def _get(url: str) -> Any:
    async with aiohttp.ClientSession() as session, session.get(url) as reply:
        reply.raise_for_status()
        return await reply.json()
