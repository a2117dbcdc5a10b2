"""A gateway's process with a kept alias, kept keys and a model server, and neither Kafka nor tables."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from services.model_gateway.champion_alias import ChampionAlias
from shared.adapters.contract import AdapterContract
from shared.events import AccessChanged, FrozenAdapter, FrozenFile, ModelPromoted, WorkloadAdded, now
from shared.workload import Workload
from tests.servers.services import ServiceProcess

ANSWERS = {"refund": " A", "outage": " B"}
TOKENS = {"refund": 1, "outage": 2}
_SAID = {
    "choices": [{"logprobs": {"top_logprobs": [{"token_id:1": -0.1, "token_id:2": -2.4}]}}],
    "usage": {"prompt_tokens": 12},
}
_NO_FILE = FrozenFile(uri="file:///rows.jsonl", digest="sha256:" + "0" * 64, rows=0)


@contextmanager
def quick_model_server(seconds: float = 0.0) -> Iterator[str]:
    """Answers one request after the other, each after so long, the same whatever it is asked. Its URL."""
    loop, started, url = asyncio.new_event_loop(), threading.Event(), ""
    over = asyncio.Event()

    async def serve() -> None:
        nonlocal url
        one_at_a_time, said = asyncio.Lock(), json.dumps(_SAID).encode()

        async def answer(_: web.Request) -> web.Response:
            if seconds:
                async with one_at_a_time:
                    await asyncio.sleep(seconds)
            return web.Response(body=said, content_type="application/json")

        app = web.Application()
        app.router.add_post("/v1/completions", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        started.set()
        await over.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()], daemon=True)
    thread.start()
    try:
        if not started.wait(10):
            raise TimeoutError("the model server does not start")
        yield url
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)


def lone_gateway(
    folder: Path,
    models_url: str,
    workloads: Sequence[str],
    keys: Sequence[AccessChanged] = (),
    environment: Mapping[str, str] | None = None,
) -> ServiceProcess:
    """Not started yet. It answers for each of the workloads, who sends one of the keys if there are any."""
    state = folder / "state"
    (state / "model_gateway").mkdir(parents=True)
    alias = ChampionAlias(state / "model_gateway" / "champion_alias.json")
    for name in workloads:
        added = _added(name)
        alias.workloads.apply(added)
        alias.switch_to(_promoted(name), AdapterContract.of(added, TOKENS, dataset_id="dataset-1", lora_r=4))
    asyncio.run(alias.keep())
    kept: list[dict[str, Any]] = [key.model_dump(mode="json") for key in keys]
    (state / "known_keys.json").write_text(json.dumps(kept))
    return ServiceProcess(["model_gateway"], folder, {"MODELS_URL": models_url} | dict(environment or {}))


def _added(name: str) -> WorkloadAdded:
    definition = Workload.model_validate(
        {"name": name, "title": "Which team?", "prompt": "{text}\n\nAnswer:", "labels": tuple(ANSWERS)}
    )
    return WorkloadAdded(revision=1, definition=definition, answers=ANSWERS, rows=_NO_FILE, added_at=now())


def _promoted(name: str) -> ModelPromoted:
    adapter = FrozenAdapter(
        name=f"{name}-1", uri=f"adapters/{name}", digest="sha256:" + "a" * 64, base_model="base"
    )
    return ModelPromoted(
        workload=name, revision=1, champion=adapter, previous=None, run_id="run-1", promoted_at=now()
    )
