"""OpenAI's own clients for Python and Node, against the gateway over the real model server."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from shared.events import FeedbackGiven, Thumb, now
from shared.fields import FrozenAdapter
from tests.servers.http import app_of, serving
from tests.servers.lossy_proxy import Loss, losing
from tests.servers.model import lora_adapter
from tests.servers.model import test_cache as cache
from tests.services.model_gateway.conftest import Gateway, Gateways, added, promoted
from tests.services.model_gateway.test_answers import records

NODE_CLIENT = "6.49.0"
TEXT = "Where is my money?"
LABELS = {"refund", "outage", "other"}
ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": TEXT}]


@pytest.fixture
async def gateway(
    gateways: Gateways, models_url: str, freeze: Callable[[str, Path], FrozenAdapter]
) -> Gateway:
    gateway = await gateways(models_url)
    await gateway.apply(added(), promoted(freeze("tickets-openai", lora_adapter(1))))
    return gateway


@pytest.fixture
async def url(gateway: Gateway) -> AsyncIterator[str]:
    async with serving(app_of(gateway.service)) as url:
        yield url


@pytest.fixture
async def client(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:
        yield client


async def test_a_chat_is_answered_by_a_label(client: openai.AsyncOpenAI, gateway: Gateway) -> None:
    raw = await client.chat.completions.with_raw_response.create(
        model="tickets", messages=ASKED, logprobs=True, top_logprobs=3, temperature=0
    )
    answer = raw.parse()
    [choice] = answer.choices
    [record] = records(gateway)
    assert choice.message.content == record.answer
    assert (choice.finish_reason, answer.model) == ("stop", record.adapter)
    assert answer.id == f"chatcmpl-{record.prediction_id}"
    assert raw.headers["x-tuneloop-prediction-id"] == record.prediction_id
    feedback = FeedbackGiven(
        feedback_id="f", workload="tickets", prediction_id=answer.id, thumb=Thumb.DOWN, given_at=now()
    )
    assert feedback.prediction_id == record.prediction_id
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    [token] = choice.logprobs.content
    assert {top.token for top in token.top_logprobs} == LABELS
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == record.tokens_in


async def test_a_completion_takes_a_text_or_a_list_of_one(client: openai.AsyncOpenAI) -> None:
    alone = await client.completions.create(model="tickets", prompt=TEXT, logprobs=2)
    listed = await client.completions.create(model="tickets", prompt=[TEXT])
    assert alone.choices[0].text == listed.choices[0].text
    assert alone.choices[0].text in LABELS
    logprobs = alone.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.top_logprobs is not None
    assert len(logprobs.top_logprobs[0]) == 2


async def test_a_stream_is_the_answer_in_chunks_and_its_usage(client: openai.AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model="tickets", messages=ASKED)
    stream = await client.chat.completions.create(
        model="tickets", messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage


async def test_models_are_the_workloads_that_answer(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["tickets"]
    assert (await client.models.retrieve("tickets")).owned_by == "tuneloop"
    with pytest.raises(openai.NotFoundError) as refused:
        await client.models.retrieve("gpt-4")
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


async def test_an_error_reads_well(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        await client.chat.completions.create(
            model="tickets", messages=ASKED, response_format={"type": "json_object"}
        )
    error = refused.value
    assert (error.code, error.param, error.type) == (
        "unsupported_parameter", "response_format", "invalid_request_error",
    )  # fmt: skip
    assert error.message.startswith(
        "Error code: 422 - `response_format`: The answer is one of the workload's"
    )
    with pytest.raises(openai.NotFoundError, match="Known are: tickets"):
        await client.chat.completions.create(model="gpt-4", messages=ASKED)


async def test_a_dead_model_server_is_tried_again_and_then_said(gateways: Gateways) -> None:
    gateway = await gateways()
    await gateway.apply(added())
    async with serving(app_of(gateway.service)) as url:
        client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        with pytest.raises(openai.InternalServerError) as refused:
            await client.chat.completions.create(model="tickets", messages=ASKED)
    assert (refused.value.status_code, refused.value.type) == (503, "server_error")
    assert "first training is under way" in refused.value.message


@pytest.mark.parametrize("loss", ["cut", "silent"])
@pytest.mark.parametrize("key", [None, "ticket-4711"])
async def test_when_answers_get_lost_the_clients_own_retries_are_one_record(
    gateway: Gateway, url: str, loss: Loss, key: str | None
) -> None:
    headers = {"Idempotency-Key": key} if key else {}
    async with losing(url, 2, loss) as lossy:
        client = openai.AsyncOpenAI(base_url=f"{lossy}/v1", api_key="none", timeout=2, max_retries=2)
        async with client:
            answer = await client.chat.completions.create(
                model="tickets", messages=ASKED, extra_headers=headers
            )
    [record] = records(gateway)
    assert answer.id == f"chatcmpl-{record.prediction_id}"
    assert 'repeated_answers_total{workload="tickets"} 2.0' in gateway.metrics()


async def test_a_key_used_for_another_text_is_refused(client: openai.AsyncOpenAI) -> None:
    key = {"Idempotency-Key": "ticket-4711"}
    await client.chat.completions.create(model="tickets", messages=ASKED, extra_headers=key)
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        await client.completions.create(model="tickets", prompt="Nothing works", extra_headers=key)
    assert refused.value.code == "idempotency_key_reused"


def node_client() -> Path:
    """A folder with OpenAI's client for Node. It comes from npm the first time: no Python package has it."""
    folder = cache() / f"openai-node-{NODE_CLIENT}"
    if not (folder / "done").exists():
        npm = shutil.which("npm")
        if npm is None or shutil.which("node") is None:
            pytest.skip("NOT CHECKED: no node and npm here, so OpenAI's client for Node was not tried")
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", f"openai@{NODE_CLIENT}", "--no-audit", "--no-fund", "--ignore-scripts"]
        (folder / "package.json").write_text("{}")
        made = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
        if made.returncode != 0:
            pytest.skip(f"NOT CHECKED: npm did not give OpenAI's client for Node: {made.stderr[-300:]}")
        (folder / "done").touch()
    return folder


async def test_the_client_for_node_does_the_same(gateway: Gateway, url: str) -> None:
    folder = await asyncio.to_thread(node_client)
    script = Path(__file__).parent / "openai_client.mjs"
    async with losing(url, 2, "cut") as lossy:
        process = await asyncio.create_subprocess_exec(
            "node", str(script), str(folder), url, lossy, stdout=subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    said = json.loads(output)
    ids = {record.prediction_id for record in records(gateway)}
    assert said["chat"]["choices"][0]["message"]["content"] in LABELS
    assert said["header"] in ids
    assert said["chat"]["id"] == f"chatcmpl-{said['header']}"
    tops = said["chat"]["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    assert {top["token"] for top in tops} == LABELS
    assert said["completion"]["choices"][0]["text"] in LABELS
    assert said["streamed"] == said["chat"]["choices"][0]["message"]["content"]
    assert said["usage"] == said["chat"]["usage"]
    assert said["models"] == [said["model"]["id"]] == ["tickets"]
    assert (said["unknown"]["name"], said["unknown"]["code"]) == ("NotFoundError", "model_not_found")
    assert said["tools"]["message"].startswith("422 `tools`: The answer is one of the workload's labels")
    assert (said["tools"]["param"], said["tools"]["type"]) == ("tools", "invalid_request_error")
    assert said["keyed"][0] == said["keyed"][1]
    assert len(ids) == 5  # chat, completion, stream, one for three tries, one for two of a key
