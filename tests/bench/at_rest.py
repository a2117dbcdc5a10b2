"""What a laptop with three workloads costs while nothing happens.

    python -m tests.bench.at_rest [--settle SECONDS] [--data FOLDER]

Starts the whole system in a folder of its own, adds three small workloads, waits until each answers and then
five quiet minutes, and takes the CPU time of every process over one minute. Prints one JSON line, in percent
of one core; what it is doing meanwhile goes to standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import aiohttp
import psutil
import simple_icd_10_cm as icd

from deploy.demo.add_workload import add_workload
from deploy.laptop.laptop import Laptop, LaptopSettings, start_laptop
from services.workloads.rows import LabelledRow
from shared.workload import Split, Training, Workload
from tests.servers.model import base_model_folder

SETTLE_SECONDS = 300.0
MEASURED_SECONDS = 60.0
LONGEST_TRAINING_SECONDS = 1800.0
PROCESSES = ("services", "kafka", "clickhouse", "model_server", "gateway")
NAMES = {"models": "model_server"}
"""The supervisor's names, where the line has another."""
CHAPTERS = {2: "cancer", 7: "eye", 15: "pregnancy"}
"""Of ICD-10-CM: far enough apart that a few steps of training earn a champion."""
ROWS_PER_LABEL = 70
WORKLOADS = tuple(
    Workload(
        name=f"at-rest-{number}",
        title="Which chapter is this diagnosis of?",
        prompt="{text}\nChapter:",
        labels=tuple(CHAPTERS.values()),
        split=Split(golden=15, held_out=45),
        training=Training(epochs=2, max_steps=12),
    )
    for number in (1, 2, 3)
)


def rows() -> list[LabelledRow]:
    """Diagnoses with their chapter."""
    return [
        LabelledRow(text, label)
        for chapter, label in CHAPTERS.items()
        for text in sorted(
            {icd.get_description(code) for code in icd.get_descendants(str(chapter)) if icd.is_leaf(code)}
        )[::7][:ROWS_PER_LABEL]
    ]


def cpu_seconds(laptop: Laptop) -> dict[str, float]:
    """CPU time so far by name, of each process with its children."""
    used = dict.fromkeys(PROCESSES, 0.0)
    for name, pid in laptop.pids().items():
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used[NAMES.get(name, name)] += times.user + times.system
    return used


def prepare(folder: Path) -> bool:
    """A folder to run in. Whether it is new, and has no workloads yet."""
    models = folder / "models"
    if models.exists():
        return False
    folder.mkdir(parents=True, exist_ok=True)
    models.symlink_to(base_model_folder().parent)
    return True


async def measure(settle_seconds: float, folder: Path) -> dict[str, float]:
    """Percent of one core by `…_percent`."""
    is_new = await asyncio.to_thread(prepare, folder)
    async with start_laptop(LaptopSettings(folder, 0, 0, 0, 0, 0), _say) as laptop:
        if is_new:
            for workload in WORKLOADS:
                await add_workload(laptop.services_url, workload, rows())
            async with asyncio.timeout(LONGEST_TRAINING_SECONDS):
                await _until_open(f"{laptop.gateway_url}/v1/models")
        _say("settling", f"{settle_seconds:.0f} s")
        await asyncio.sleep(settle_seconds)
        before, since = cpu_seconds(laptop), time.monotonic()
        await asyncio.sleep(MEASURED_SECONDS)
        after, seconds = cpu_seconds(laptop), time.monotonic() - since
    percent = {name: 100 * (after[name] - before[name]) / seconds for name in PROCESSES}
    percent["total"] = sum(percent.values())
    return {f"{name}_percent": round(value, 2) for name, value in percent.items()}


async def _until_open(models_url: str) -> None:
    wanted = {workload.name for workload in WORKLOADS}
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(models_url) as reply:
                there = {row["id"] for row in (await reply.json())["data"]}
            _say("open", ", ".join(sorted(wanted & there)) or "none yet")
            if wanted <= there:
                return
            await asyncio.sleep(5)


def _say(step: str, detail: str) -> None:
    print(f"{step}: {detail}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.at_rest", description=__doc__)
    parser.add_argument("--settle", type=float, default=SETTLE_SECONDS, metavar="SECONDS")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="kept, to measure it again")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tuneloop-at-rest-") as folder:
        print(json.dumps(asyncio.run(measure(asked.settle, asked.data or Path(folder)))))


if __name__ == "__main__":
    main()
