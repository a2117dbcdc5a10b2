"""The gateway's process needs neither Kafka nor ClickHouse to go on answering."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from services.model_gateway.champion_alias import ChampionAlias
from shared.fields import FrozenAdapter
from tests.servers.adapters import contract_of
from tests.servers.model import free_port, lora_adapter
from tests.services.model_gateway.conftest import added, promoted


@pytest.fixture
def gateway_url(
    freeze: Callable[[str, Path], FrozenAdapter], models_url: str, tmp_path: Path
) -> Iterator[str]:
    """A process with a kept alias, with kept keys, of which there are none, and a model server."""
    folder = tmp_path / "state" / "model_gateway"
    folder.mkdir(parents=True)
    alias = ChampionAlias(folder / "champion_alias.json")
    alias.workloads.apply(added())
    alias.switch_to(promoted(freeze("tickets-1", lora_adapter(1))), contract_of(added()))
    asyncio.run(alias.keep())
    (tmp_path / "state" / "known_keys.json").write_text("[]")
    with gateway(models_url, tmp_path) as url:
        yield url


@contextmanager
def gateway(models_url: str, folder: Path) -> Iterator[str]:
    """The URL of a gateway's process, which ends well when it is told to."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "services", "model_gateway", "--port", str(port)],
        env={
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
            "CLICKHOUSE_URL": "http://127.0.0.1:9/none",
            "MODELS_URL": models_url,
            "FILES_URI": f"file://{folder}/files",
            "STATE_FOLDER": str(folder / "state"),
        },
    )
    try:
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()


def test_it_answers_before_any_broker_is_there_and_is_ready(gateway_url: str) -> None:
    with httpx.Client(base_url=gateway_url, timeout=30) as http:
        _wait_until_alive(http)
        body = {"model": "tickets", "messages": [{"role": "user", "content": "Where is my money?"}]}
        answer = http.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        assert http.get("/health/ready").status_code == 200
        other = http.post("/v1/chat/completions", json=body | {"model": "perhaps-added-meanwhile"})
        assert other.status_code == 503
        assert other.headers["retry-after"]
        assert "outbox_backlog_bytes 0.0" not in http.get("/metrics").text


def test_two_gateways_on_one_volume_both_answer_and_keep_their_records_apart(
    gateway_url: str, models_url: str, tmp_path: Path
) -> None:
    body = {"model": "tickets", "messages": [{"role": "user", "content": "Where is my money?"}]}
    recorded = []
    with gateway(models_url, tmp_path) as other_url:
        for url in (gateway_url, other_url):
            with httpx.Client(base_url=url, timeout=30) as http:
                _wait_until_alive(http)
                answer = http.post("/v1/chat/completions", json=body)
                assert answer.status_code == 200, answer.text
                recorded.append(answer.headers["x-tuneloop-prediction-id"])
    folders = [tmp_path / "state" / "model_gateway" / name for name in ("outbox", "outbox-1")]
    segments = [segment.read_text() for folder in folders for segment in folder.glob("*.jsonl")]
    assert sorted(name in segment for name in recorded for segment in segments) == [False, False, True, True]


def _wait_until_alive(http: httpx.Client) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if http.get("/health/live").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)  # another process: there is nothing to await
    raise TimeoutError("the gateway did not come up in 30 s")
