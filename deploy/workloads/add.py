"""Adds a workload to a running system: tokens for its labels, rows frozen, WorkloadAdded said."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from services.workloads.answer_tokens import answers_for, candidate_answers
from services.workloads.rows import LabelledRow
from shared.addresses import Addresses
from shared.broker import make_broker, make_publish
from shared.events import Event, WorkloadAdded, now
from shared.files import Files
from shared.model_server import ModelServer, PromptTooLong
from shared.topics import declare, topics_of
from shared.workload import Workload

SAMPLE = 16


class TextTooLong(Exception):
    """A row does not fit the model's context."""


@dataclass(frozen=True)
class Speed:
    """How fast this machine's model server reads, measured on a sample of the rows."""

    tokens_per_second: float
    tokens_per_row: float


async def add_workload(
    workload: Workload, rows: Sequence[LabelledRow], addresses: Addresses, *, revision: int | None = None
) -> WorkloadAdded:
    """Says WorkloadAdded; from there the loop trains, judges and opens the gateway by itself.

    Raises NoTokenLeft, ModelServerDown, and what the file system raises.
    """
    async with ModelServer(addresses.models_url) as models:
        candidates = candidate_answers(workload.labels)
        tokens = await asyncio.gather(*(models.tokenize(workload.base_model, text) for text in candidates))
    token_ids = dict(zip(candidates, tokens, strict=True))
    answers = answers_for(workload.labels, token_ids.__getitem__)
    files = Files(addresses.files_uri, addresses.state_folder / "cache")
    frozen = files.freeze_rows(f"workloads/{workload.name}/rows", [row.as_json() for row in rows])
    added = WorkloadAdded(
        revision=revision or time.time_ns() // 1_000_000,
        definition=workload,
        answers=answers,
        rows=frozen,
        added_at=now(),
    )
    await say_once(added, addresses=addresses)
    return added


async def say_once(*events: Event, addresses: Addresses) -> None:
    """Says events from outside the services, in the console's name, and returns when they are kept."""
    kinds = {type(event) for event in events}
    servers = addresses.kafka_bootstrap_servers
    await asyncio.to_thread(declare, topics_of(kinds), servers, addresses.kafka_replication, 10)
    broker = make_broker(servers, "tuneloop-command-line", CollectorRegistry())
    await broker.connect()
    try:
        await make_publish(broker, "console")(*events)
    finally:
        await broker.stop()


async def measure_speed(workload: Workload, rows: Sequence[LabelledRow], models_url: str) -> Speed:
    """Scores a sample of the rows with the base model, the longest row among them.

    Raises TextTooLong if the longest row does not fit the model's context.
    """
    longest = max(rows, key=lambda row: len(row.text))
    sample = [longest, *rows[:: max(1, len(rows) // SAMPLE)][:SAMPLE]]
    async with ModelServer(models_url) as models:
        some_token = (await models.tokenize(workload.base_model, " A"))[:1]
        start = time.perf_counter()
        try:
            scored = await asyncio.gather(
                *(
                    models.score(workload.base_model, workload.prompt_for(row.text), some_token)
                    for row in sample
                )
            )
        except PromptTooLong:
            raise TextTooLong(
                f"the longest text ({len(longest.text)} characters, “{longest.text[:40]}…”) does not fit the "
                f"context of {workload.base_model}. Shorten it or leave it out."
            ) from None
        seconds = time.perf_counter() - start
    read = sum(one.prompt_tokens for one in scored)
    usual = sum(one.prompt_tokens for one in scored[1:]) / max(1, len(scored) - 1)
    return Speed(read / seconds, usual)
