"""Answers by the alias, over the real model server: on record first, one adapter each at every switch."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from shared.events import PredictionLogged, Writer
from shared.fields import FrozenAdapter
from shared.model_server import ModelServer
from shared.outbox.lines import record_in
from shared.subject_ids import subject_id
from tests.servers.model import lora_adapter
from tests.services.model_gateway.conftest import SUBJECT_KEY, Gateway, Gateways, added, promoted, rolled_back

Adapters = tuple[FrozenAdapter, FrozenAdapter, FrozenAdapter]


@pytest.fixture
def adapters(freeze: Callable[[str, Path], FrozenAdapter]) -> Adapters:
    """Three names for two sets of weights."""
    one, two = lora_adapter(1), lora_adapter(2)
    return freeze("tickets-1", one), freeze("tickets-2", two), freeze("tickets-3", one)


@pytest.fixture
async def models(models_url: str, adapters: Adapters) -> AsyncIterator[ModelServer]:
    async with ModelServer(models_url) as models:
        yield models
        for adapter in adapters:
            await models.unload_adapter(adapter.name)


@pytest.fixture
async def gateway(gateways: Gateways, models: ModelServer, models_url: str, adapters: Adapters) -> Gateway:
    """A gateway whose first champion serves."""
    gateway = await gateways(models_url)
    await gateway.apply(added(), promoted(adapters[0]))
    return gateway


def records(gateway: Gateway) -> list[PredictionLogged]:
    """What is on disk."""
    segments = sorted((gateway.state_folder / "outbox").glob("*.jsonl"))
    return [
        PredictionLogged.model_validate_json(record_in(line)[0].value)
        for segment in segments
        for line in segment.read_bytes().split(b"\n")
        if line
    ]


async def test_an_answer_is_a_label_by_the_champion_and_on_record(
    gateway: Gateway, adapters: Adapters
) -> None:
    answer = await gateway.ask("Where is my money?", metadata={"customer": "42"}, temperature=0.7)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    [record] = records(gateway)
    assert record.prediction_id == answer.headers["x-tuneloop-prediction-id"]
    assert body["id"] == f"chatcmpl-{record.prediction_id}"
    assert body["choices"][0]["message"]["content"] == record.answer
    assert body["model"] == record.adapter == adapters[0].name
    assert body["usage"]["prompt_tokens"] == record.tokens_in > 5
    assert (record.input, record.attributes) == ("Where is my money?", {"customer": "42"})
    assert set(record.probabilities) == {"refund", "outage", "other"}
    assert sum(record.probabilities.values()) == pytest.approx(1)
    assert record.confidence == max(record.probabilities.values()) == record.probabilities[record.answer]
    assert record.latency_ms > 0
    assert record.revision == 1
    assert record.written_by is Writer.GATEWAY


async def test_whoever_asks_goes_on_record_as_an_opaque_id_and_nowhere_by_name(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    user, metadata = "ada.lovelace@example.org", {"group_id": "thread-7", "customer": "42"}
    chat = await gateway.ask("Nothing works", user=user, metadata=metadata)
    body = {"model": "tickets", "prompt": "Nothing works", "user": user, "metadata": metadata}
    plain = await gateway.http.post("/v1/completions", json=body)
    assert len(records(gateway)) == 2
    for record in records(gateway):
        assert (record.subject_id, record.group_id) == (subject_id(SUBJECT_KEY, user), "thread-7")
        assert record.attributes == {"customer": "42"}
        assert user not in record.model_dump_json()
    assert user not in chat.text + plain.text + gateway.metrics() + caplog.text


async def test_both_ways_to_ask_give_the_same_answer(gateway: Gateway) -> None:
    chat = await gateway.ask("Nothing works", logprobs=True, top_logprobs=3)
    plain = await gateway.http.post(
        "/v1/completions", json={"model": "tickets", "prompt": "Nothing works", "logprobs": 3}
    )
    [token] = chat.json()["choices"][0]["logprobs"]["content"]
    choice = plain.json()["choices"][0]
    assert choice["text"] == token["token"]
    [top] = choice["logprobs"]["top_logprobs"]
    assert top == pytest.approx({row["token"]: row["logprob"] for row in token["top_logprobs"]}, abs=0.02)


KEY = {"idempotency-key": "order-4711"}


async def asked_with(
    gateway: Gateway, headers: dict[str, str], text: str = "Where is my money?"
) -> httpx.Response:
    body = {"model": "tickets", "messages": [{"role": "user", "content": text}]}
    return await gateway.http.post("/v1/chat/completions", json=body, headers=headers)


async def test_three_requests_with_one_key_are_three_equal_answers_and_one_record(gateway: Gateway) -> None:
    at_once = await asyncio.gather(asked_with(gateway, KEY), asked_with(gateway, KEY))
    answers = [*at_once, await asked_with(gateway, KEY)]
    [record] = records(gateway)
    assert [answer.json() for answer in answers] == [answers[0].json()] * 3
    assert {answer.headers["x-tuneloop-prediction-id"] for answer in answers} == {record.prediction_id}
    assert 'repeated_answers_total{workload="tickets"} 2.0' in gateway.metrics()


async def test_a_key_that_came_with_another_request_is_refused(gateway: Gateway) -> None:
    await asked_with(gateway, KEY)
    answer = await asked_with(gateway, KEY, "Nothing works")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert len(records(gateway)) == 1


async def test_another_process_answers_a_key_under_the_same_id(
    gateway: Gateway, gateways: Gateways, models_url: str
) -> None:
    shutil.copytree(gateway.state_folder, gateways.folder / "copied")
    other = await gateways(models_url, "copied")
    one, two = await asked_with(gateway, KEY), await asked_with(other, KEY)
    assert one.json()["id"] == two.json()["id"]
    assert one.json()["id"] != (await asked_with(gateway, {"idempotency-key": "another"})).json()["id"]


async def test_a_clients_own_retry_is_the_request_it_repeats(gateway: Gateway) -> None:
    first, *again = [await asked_with(gateway, {"x-stainless-retry-count": str(n)}) for n in range(3)]
    assert {answer.json()["id"] for answer in again} == {first.json()["id"]}
    assert len(records(gateway)) == 1


async def test_two_users_who_ask_the_same_are_two_requests(gateway: Gateway) -> None:
    for headers in ({}, {"x-stainless-retry-count": "0"}):
        one, two = await asyncio.gather(asked_with(gateway, headers), asked_with(gateway, headers))
        assert one.json()["id"] != two.json()["id"]
    assert len(records(gateway)) == 4


async def test_a_retry_by_another_credential_or_with_another_text_is_its_own_request(
    gateway: Gateway,
) -> None:
    await asked_with(gateway, {"x-stainless-retry-count": "0", "authorization": "Bearer one"})
    await asked_with(gateway, {"x-stainless-retry-count": "1", "authorization": "Bearer two"})
    await asked_with(
        gateway, {"x-stainless-retry-count": "1", "authorization": "Bearer one"}, "Nothing works"
    )
    assert len({record.prediction_id for record in records(gateway)}) == 3


async def test_a_streamed_answer_ends_with_done(gateway: Gateway) -> None:
    answer = await gateway.ask(stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.endswith("data: [DONE]\n\n")
    assert records(gateway)[0].answer in answer.text


async def test_only_workloads_with_a_champion_are_listed(gateway: Gateway) -> None:
    await gateway.apply(added("mail"))
    listed = (await gateway.http.get("/v1/models")).json()
    assert [row["id"] for row in listed["data"]] == ["tickets"]
    assert (await gateway.http.get("/v1/models/tickets")).json() == listed["data"][0]


async def test_every_answer_during_a_switch_is_by_the_old_or_the_new(
    gateway: Gateway, adapters: Adapters
) -> None:
    alias_switch = asyncio.create_task(gateway.apply(promoted(adapters[1], revision=2)))
    answers: list[httpx.Response] = []
    while not alias_switch.done():
        answers.append(await gateway.ask(f"message {len(answers)}"))
    await alias_switch
    answers.append(await gateway.ask("after"))
    assert {answer.status_code for answer in answers} == {200}
    names = [answer.json()["model"] for answer in answers]
    assert names == sorted(names)
    assert (names[0], names[-1]) == (adapters[0].name, adapters[1].name)
    assert names == [record.adapter for record in records(gateway)]
    assert 'alias_switch_seconds_count{workload="tickets"} 2.0' in gateway.metrics()


async def test_the_old_champion_stays_loaded_until_the_next_switch(
    gateway: Gateway, models: ModelServer, adapters: Adapters
) -> None:
    one, two, three = (adapter.name for adapter in adapters)
    await gateway.apply(promoted(adapters[1], revision=2))
    assert {one, two} <= await models.loaded()
    await gateway.apply(promoted(adapters[2], revision=3))
    loaded = await models.loaded()
    assert {two, three} <= loaded
    assert one not in loaded


async def test_after_a_rollback_the_one_before_answers_again(gateway: Gateway, adapters: Adapters) -> None:
    await gateway.apply(promoted(adapters[1], revision=2))
    await gateway.apply(rolled_back(adapters[0], revision=3, withdrawn=adapters[1].name))
    assert (await gateway.ask()).json()["model"] == adapters[0].name


async def test_a_champion_with_changed_files_leaves_the_old_one_answering(
    gateway: Gateway, adapters: Adapters, tmp_path: Path
) -> None:
    (tmp_path / "files" / adapters[1].uri / "more").touch()
    await gateway.apply(promoted(adapters[1], revision=2))
    assert (await gateway.ask()).json()["model"] == adapters[0].name


async def test_a_restarted_model_server_gets_its_champion_back_within_the_request(
    gateway: Gateway, models: ModelServer, adapters: Adapters
) -> None:
    await models.unload_adapter(adapters[0].name)
    answers = await asyncio.gather(*(gateway.ask(f"message {number}") for number in range(4)))
    assert {(answer.status_code, answer.json()["model"]) for answer in answers} == {(200, adapters[0].name)}


async def test_a_restarted_gateway_answers_before_it_consumes_anything(
    gateway: Gateway, gateways: Gateways, models_url: str, adapters: Adapters
) -> None:
    shutil.copytree(gateway.state_folder, gateways.folder / "copied")
    again = await gateways(models_url, "copied")
    assert (await again.ask()).json()["model"] == adapters[0].name


async def test_a_full_outbox_costs_the_record_and_never_the_answer(
    gateways: Gateways,
    models: ModelServer,
    models_url: str,
    adapters: Adapters,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("MODEL_GATEWAY_OUTBOX_MOST_BYTES", "10")
    gateway = await gateways(models_url)
    await gateway.apply(added(), promoted(adapters[0]))
    answers = [await gateway.ask(), await gateway.ask(stream=True)]
    assert [answer.status_code for answer in answers] == [200, 200]
    for answer in answers:
        assert answer.headers["x-tuneloop-recorded"] == "no"
        assert "x-tuneloop-prediction-id" not in answer.headers
    assert answers[0].json()["id"].startswith("chatcmpl-unrecorded-")
    assert answers[0].json()["choices"][0]["message"]["content"] in {"refund", "outage", "other"}
    assert records(gateway) == []
    assert 'unrecorded_answers_total{workload="tickets"} 2.0' in gateway.metrics()
    assert caplog.text.count("answers are given without a record") == 1


async def test_where_the_record_comes_first_no_answer_is_given_without_one(
    gateways: Gateways,
    models: ModelServer,
    models_url: str,
    adapters: Adapters,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MODEL_GATEWAY_OUTBOX_MOST_BYTES", "10")
    monkeypatch.setenv("MODEL_GATEWAY_OUTBOX_WHEN_FULL", "refuse")
    gateway = await gateways(models_url)
    await gateway.apply(added(), promoted(adapters[0]))
    answer = await gateway.ask()
    assert answer.status_code == 507
    assert records(gateway) == []


async def test_a_text_beyond_the_models_context_is_refused(gateway: Gateway) -> None:
    answer = await gateway.ask("a b c d " * 8000)
    assert answer.status_code == 422
    assert "context" in answer.json()["detail"]
    assert records(gateway) == []
