"""`tuneloop demo`: everything started, the loop run, shown, reported, and stopped again."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.markup import escape

from deploy.demo.licences import licences, write_rows
from deploy.demo.memory import MemoryWatch
from deploy.demo.report import Run, ensure_writable, write_report
from deploy.demo.results import Results, as_percent, cluster_fates
from deploy.demo.scenario import Scenario
from deploy.demo.watch import watching
from deploy.laptop.data_folder import ensure_data_folder
from deploy.laptop.errors import LaptopError
from deploy.laptop.folder_lock import is_locked
from deploy.laptop.laptop import LaptopSettings, start_laptop
from deploy.laptop.supervisor import NOTE
from deploy.stages import Stage, Stages
from shared.kafka import Kafka, KafkaSecurity

KEPT = {"models", ".lock", ".children"}
ROWS = "licences.jsonl"
"""A demo's first file, by which its folder is known."""


async def run_demo(settings: LaptopSettings, report: Path, console: Console) -> None:
    """Runs the demo in a fresh `settings.data`, whatever the verdict will be.

    Raises LaptopError when the servers cannot run here or the report cannot be written, LoopStopped when the
    loop cannot go on.
    """
    started = time.monotonic()
    ensure_writable(report)
    ensure_data_folder(settings.data.resolve())
    forget_last_run(settings.data)
    with MemoryWatch() as memory, Stages(console) as stages:
        with stages.stage("data", "reading licence notices") as stage:
            data = await asyncio.to_thread(licences)
            write_rows(data.rows, settings.data / ROWS)
            stage.sentence = (
                f"{len(data.seed)} seed, {len(data.golden)} golden, {len(data.held_out)} held-out rows, "
                f"{len(data.stream)} requests to come"
            )
        async with AsyncExitStack() as running:
            with stages.stage("servers", "starting") as stage:
                laptop = await running.enter_async_context(
                    start_laptop(settings, partial(_show_step, stage, console))
                )
                stage.sentence = "Kafka protocol, ClickHouse, model server, gateway, services"
            where = f"console {laptop.services_url}   gateway {laptop.gateway_url}/v1"
            console.print(where, soft_wrap=True, highlight=False, markup=False)
            session = await running.enter_async_context(aiohttp.ClientSession())
            kafka = Kafka(laptop.addresses.kafka_bootstrap_servers, KafkaSecurity())
            watch = await running.enter_async_context(watching(kafka))
            results = await Scenario(laptop, data, stages, watch, session).run()
    run = Run(_machine(), (time.monotonic() - started) / 60, memory.peak_bytes / 1e9)
    workload = data.definition.workload
    write_report(report, workload, stages.done, results, run)
    console.print(
        f"\n[bold]tuneloop demo[/] · {escape(workload.title)} · {len(workload.labels)} licences · "
        f"{escape(workload.base_model)} · {escape(run.machine)}\n",
        highlight=False,
    )
    console.print(stages.summary(), highlight=False)
    console.print(_ending(results, report, run), soft_wrap=True, highlight=False)
    console.print(f"\n[dim]{escape(workload.credit)}[/]", highlight=False)


def _show_step(stage: Stage, console: Console, step: str, detail: str) -> None:
    if step == NOTE:  # to be read, not to pass by
        console.print(detail, soft_wrap=True, highlight=False, markup=False)
    else:
        stage.show(f"{step} {detail}")


def _ending(results: Results, report: Path, run: Run) -> str:
    lines = []
    if results.evaluated is not None:
        before, after = results.first.scorecard.held_out, results.evaluated.scorecard.held_out
        whose = "" if results.was_promoted else " by the candidate; the champion stays"
        lines.append(f"\n [bold]accuracy[/]  {as_percent(before)} → {as_percent(after)} held-out{whose}")
        for fate in cluster_fates(results.clusters.clusters if results.clusters else [], results.answers)[:3]:
            lines.append(
                f"           “{escape(fate.name)}”: {fate.before} → {fate.after} of {fate.rows} held-out rows"
            )
    minutes, seconds = divmod(round(60 * run.minutes), 60)
    took = f"{minutes} min {seconds:02d} s, {run.peak_gigabytes:.1f} GB at most"
    lines.append(f" [bold]report[/]    {escape(str(report))}   {took}")
    return "\n".join(lines)


def forget_last_run(data: Path) -> None:
    """Empties the demo's folder, but for its locks and the base model that version 0.1 kept there.

    Raises LaptopError if a demo runs there, or if the folder is none of a demo's.
    """
    if is_locked(data):
        raise LaptopError(
            f"A demo runs in {data}. Wait for it, or choose another folder: tuneloop demo --data DIR"
        )
    of_last_run = [path for path in data.iterdir() if path.name not in KEPT]
    if of_last_run and not (data / ROWS).exists():
        raise LaptopError(
            f"A demo empties its folder first, and {data} holds what no demo has made. "
            "Choose another folder: tuneloop demo --data DIR"
        )
    for path in of_last_run:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _machine() -> str:
    flags = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        known = cpuinfo.read_text()
        flags = next((name for name in ("amx_bf16", "avx512_bf16", "avx2") if name in known), "")
    return f"{os.cpu_count()} cores, {platform.machine()} {flags}".strip()
