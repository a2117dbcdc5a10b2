"""The demo's workload on a running laptop, for whoever wants to look around with it."""

from __future__ import annotations

import asyncio
import json
from importlib.resources import files

from rich.console import Console

from deploy.add import add
from deploy.demo.licences import licences
from deploy.follow import Follower
from deploy.installation import Installation
from deploy.laptop.laptop import Laptop
from deploy.run_command import client_of
from deploy.workloads_client import Upload, WorkloadsClient

NAME = "licences"


async def install_demo(laptop: Laptop, console: Console) -> None:
    """Adds it unless it is there already, and follows its first training."""
    where = Installation(
        laptop.services_url,
        laptop.shown_services_url,
        laptop.gateway_url,
        laptop.shown_gateway_url,
        laptop.host_key(),
    )
    async with client_of(where) as service:
        workloads = WorkloadsClient(service)
        if NAME in {one.name for one in await workloads.listed()}:
            return
        upload = await asyncio.to_thread(_upload)
        end = await add(workloads, upload, where, console, ask=False, follower=Follower())
    console.print(end.words, soft_wrap=True, highlight=False, markup=False)


def _upload() -> Upload:
    definition = files("deploy.demo").joinpath("licences.toml").read_bytes()
    rows = "".join(f"{json.dumps(row.as_json(), ensure_ascii=False)}\n" for row in licences().rows)
    return Upload("licences.toml", definition, "licences.jsonl", rows.encode())
