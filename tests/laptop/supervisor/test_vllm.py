"""vLLM as a child of the supervisor, where VLLM_PYTHON names an interpreter that has it."""

from __future__ import annotations

import os
from pathlib import Path

import aiohttp
import psutil
import pytest

from deploy.laptop.children import Place, addresses, children
from deploy.laptop.folder_lock import lock_folder
from deploy.laptop.supervisor import Supervisor
from deploy.laptop.vllm import SETTING, vllm_python
from shared.model_server import ModelServer
from tests.servers.model import MODEL, base_model_folder, free_port, lora_adapter

PYTHON = os.environ.get("VLLM_PYTHON")
NAMES = ("kafka", "clickhouse", "models", "gateway", "services")


@pytest.mark.skipif(not PYTHON, reason="vLLM is not here: VLLM_PYTHON would name an interpreter that has it")
async def test_vllm_serves_in_the_place_of_our_server_and_leaves_nothing_behind(tmp_path: Path) -> None:
    ports = {name: free_port() for name in NAMES}
    place = Place(tmp_path, base_model_folder().parent, ports, vllm=vllm_python({SETTING: str(PYTHON)}))
    [child] = [
        each for each in children(place, addresses(place, {}, "pw", "key", "s")) if each.name == "models"
    ]
    steps: list[tuple[str, str]] = []
    with lock_folder(tmp_path) as held:
        supervisor = Supervisor(tmp_path / "logs", held, lambda *step: steps.append(step))
        try:
            await supervisor.start(child)
            family = psutil.Process(supervisor.pids()["models"]).children(recursive=True)
            async with ModelServer(place.url("models")) as models:
                assert await models.base_models() == {MODEL: 8192}
                await models.load_adapter("one", lora_adapter(1), MODEL)
                scored = await models.score("one", "parcel", list(range(1000, 1512)))
                assert len(scored.logprobs) == 512
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{place.url('models')}/metrics") as told,
            ):
                assert "vllm:num_requests_running" in await told.text()
        finally:
            await supervisor.stop()
    assert steps == []
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
