"""Answers by model_gateway on the real model server: what was answered is on record, once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from shared.files import Files
from tests.bench.chaos.ledger import Ledger
from tests.bench.installation import (
    ModelServerProcess,
    ServiceProcess,
    add_workload,
    files_uri,
    promote,
    workload_added,
)
from tests.servers.adapters import freeze_trained

WORKLOAD = "chaos-answers"
PAUSE_SECONDS = 0.3
AGAIN_SECONDS = 0.5
REQUEST_SECONDS = 40.0
OPEN_SECONDS = 120.0
ANSWERED = "200 by the gateway"


async def ready(gateway: ServiceProcess, models: ModelServerProcess, kafka: str, folder: Path) -> None:
    """Starts both; returns when the workload is answered. Raises TimeoutError."""
    files = Files(files_uri(folder), folder / "cache")
    frozen = await asyncio.to_thread(freeze_trained, files, "answers-1", 1, workload_added(WORKLOAD))
    await asyncio.to_thread(add_workload, kafka, WORKLOAD)
    await asyncio.to_thread(promote, kafka, WORKLOAD, frozen)
    await asyncio.to_thread(models.start)
    gateway.start()
    async with aiohttp.ClientSession() as session, asyncio.timeout(OPEN_SECONDS):
        while await _asked(session, gateway.url, "Is anybody there?", "open", Ledger()) is None:
            await asyncio.sleep(AGAIN_SECONDS)


async def ask_for_ever(gateway_url: str, ledger: Ledger, stopping: asyncio.Event) -> None:
    """One question after the other, each again under its Idempotency-Key until it is answered."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS)) as session:
        number = 0
        while not stopping.is_set():
            number += 1
            text, key = f"{number}: where is my order?", f"question-{number}"
            while (answered := await _asked(session, gateway_url, text, key, ledger)) is None:
                await asyncio.sleep(AGAIN_SECONDS)
                if stopping.is_set():
                    return
            name, answer = answered
            ledger.answers_given[name] = (text, answer)
            await asyncio.sleep(PAUSE_SECONDS)


async def _asked(
    session: aiohttp.ClientSession, url: str, text: str, key: str, ledger: Ledger
) -> tuple[str, str] | None:
    """The id of the prediction and the answer; None if it is to be asked again."""
    body = {"model": WORKLOAD, "messages": [{"role": "user", "content": text}]}
    try:
        async with session.post(
            f"{url}/v1/chat/completions", json=body, headers={"Idempotency-Key": key}
        ) as answer:
            status, told = answer.status, await answer.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ConnectionError, ValueError) as error:
        ledger.answers[f"no answer of the gateway ({type(error).__name__})"] += 1
        return None
    ledger.answers[ANSWERED if status == 200 else f"{status} by the gateway: {told.get('title')}"] += 1
    if status != 200:
        return None
    return told["id"].removeprefix("chatcmpl-"), told["choices"][0]["message"]["content"]
