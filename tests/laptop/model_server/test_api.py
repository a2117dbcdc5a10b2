"""What HTTP adds around a model, with an engine whose passes the test holds back or breaks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from deploy.laptop.model_server.api import create_app
from deploy.laptop.model_server.batching import MOST_UNFINISHED, Answer, Job, Token
from deploy.laptop.model_server.engine import TransformersEngine
from deploy.laptop.model_server.limits import Limits
from deploy.laptop.model_server.protocol import MOST_PROMPTS
from deploy.laptop.model_server.serving import Serving

BODY = {"model": "letters", "prompt": "a", "max_tokens": 1}


class LetterEngine:
    """A token is a character's code; answers with "b"."""

    base = "the base"
    max_model_len = 100
    vocabulary = 256

    def __init__(self) -> None:
        self.may_pass = threading.Event()
        self.may_pass.set()
        self.merges = 0

    def encode(self, text: str, *, special_tokens: bool = True) -> list[int]:
        return [ord(letter) for letter in text]

    def decode(self, tokens: Sequence[int], *, special_tokens: bool = False) -> str:
        return "".join(map(chr, tokens))

    def read(self, folder: Path, served: str, highest_rank: int) -> str:
        return folder.name

    def merge(self, weights: str) -> str:
        self.merges += 1
        return f"merged {weights}"

    def unread(self, job: Job) -> int:
        return len(job.prompt)

    def advance(self, weights: Any, jobs: Sequence[Job]) -> list[Token]:
        assert self.may_pass.wait(10)
        if any(job.prompt == (ord("!"),) for job in jobs):
            raise MemoryError("a secret of the prompt")
        return [Token(ord("b"), 0.0, () if job.sampling.logprobs is not None else None) for job in jobs]

    def ending(self, job: Job) -> Answer | None:
        tokens = tuple(job.tokens)
        return Answer(tokens, "b" * len(tokens), "length") if len(tokens) == job.sampling.max_tokens else None


@pytest.fixture
def engine() -> LetterEngine:
    return LetterEngine()


@pytest.fixture
async def http(engine: LetterEngine) -> AsyncIterator[httpx.AsyncClient]:
    serving = Serving(cast(TransformersEngine, engine), "letters", Limits(max_loras=1), lambda: None)
    transport = httpx.ASGITransport(create_app(lambda: serving, "letters"), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
    engine.may_pass.set()
    assert serving.stop(timeout_seconds=10)


async def test_until_the_model_is_loaded_everything_is_a_503_to_try_again() -> None:
    transport = httpx.ASGITransport(create_app(lambda: None, "letters"))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for answer in (
            await client.get("/health"),
            await client.get("/v1/models"),
            await client.post("/v1/completions", json=BODY),
        ):
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"


async def test_beyond_its_bound_the_server_says_when_to_come_again(
    engine: LetterEngine, http: httpx.AsyncClient
) -> None:
    engine.may_pass.clear()
    full = BODY | {"prompt": ["a"] * MOST_PROMPTS}
    crowd = [
        asyncio.create_task(http.post("/v1/completions", json=full))
        for _ in range(MOST_UNFINISHED // MOST_PROMPTS + 1)
    ]
    refused, waiting = await asyncio.wait(crowd, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    [answer] = [task.result() for task in refused]
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    engine.may_pass.set()
    assert {task.result().status_code for task in (await asyncio.wait(waiting))[0]} == {200}


async def test_asking_six_adapters_in_turn_merges_none_of_them_again(
    engine: LetterEngine, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    for name in "abcdef":
        (tmp_path / name).mkdir()
        body = {"lora_name": name, "lora_path": str(tmp_path / name)}
        assert (await http.post("/v1/load_lora_adapter", json=body)).status_code == 200
    assert engine.merges == 6
    for _ in range(3):
        asked = [http.post("/v1/completions", json=BODY | {"model": name}) for name in "abcdef"]
        assert {answer.status_code for answer in await asyncio.gather(*asked)} == {200}
    assert engine.merges == 6


async def test_a_request_that_breaks_the_engine_is_a_500_that_quotes_nothing(http: httpx.AsyncClient) -> None:
    good, bad = await asyncio.gather(
        http.post("/v1/completions", json=BODY),
        http.post("/v1/completions", json=BODY | {"prompt": "!"}),
    )
    assert good.status_code == 200
    assert bad.status_code == 500
    assert "secret" not in bad.text


async def test_more_prompts_than_a_request_may_have_are_a_400(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/completions", json=BODY | {"prompt": ["a"] * (MOST_PROMPTS + 1)})
    assert answer.status_code == 400


async def test_a_prompt_and_its_answer_share_the_context(http: httpx.AsyncClient) -> None:
    fits = BODY | {"prompt": "a" * 90, "max_tokens": 10}
    assert (await http.post("/v1/completions", json=fits)).status_code == 200
    beyond = await http.post("/v1/completions", json=fits | {"max_tokens": 11})
    assert beyond.status_code == 400
    assert "maximum context length is 100 tokens" in beyond.json()["error"]["message"]


async def test_token_ids_beyond_the_vocabulary_are_a_400(http: httpx.AsyncClient) -> None:
    assert (await http.post("/v1/completions", json=BODY | {"prompt": [256]})).status_code == 400
    assert (await http.post("/v1/completions", json=BODY | {"allowed_token_ids": [256]})).status_code == 400


async def test_validation_errors_do_not_repeat_what_was_sent(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/completions", json=BODY | {"max_tokens": "a name and address"})
    assert answer.status_code == 400
    assert "address" not in answer.text
    assert "max_tokens" in answer.json()["error"]["message"]


async def test_a_stream_tells_the_usage_if_asked_to(http: httpx.AsyncClient) -> None:
    body = BODY | {"stream": True, "stream_options": {"include_usage": True}}
    answer = await http.post("/v1/completions", json=body)
    assert '"usage"' in answer.text
    assert answer.text.endswith("data: [DONE]\n\n")
