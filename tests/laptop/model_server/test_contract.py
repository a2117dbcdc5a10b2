"""What a client may rely on, of our server and of vLLM alike."""

from __future__ import annotations

import json
import math
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy
import pytest
from safetensors.numpy import load_file, save_file

from shared.adapters.loading import AdapterLoading
from shared.model_server import ModelServer, ModelServerRefused
from tests.laptop.model_server.conftest import Client, Published
from tests.servers.adapters import contract_of, publish
from tests.servers.model import MODEL, lora_adapter
from tests.shared.adapters.example_contract import ADDED

PROMPT = "Permission is hereby granted, free of charge, to any person obtaining a copy\nLicence:"
ROUNDING = 0.25
"""Of log-probabilities in bfloat16, whose logits near 20 are 0.125 apart."""


def codes(server: Client) -> list[int]:
    return [token for letter in "ABCDEFGHIJ" for token in server.tokens(f" {letter}")]


def error_of(answer: Any) -> dict[str, Any]:
    error = answer.json()["error"]
    assert isinstance(error["message"], str)
    assert error["code"] == answer.status_code
    return dict(error)


# Labels: one token, by probability


def test_the_probabilities_of_the_allowed_tokens_sum_to_one(server: Client) -> None:
    allowed = codes(server)
    scores = server.score(PROMPT, allowed)
    assert set(scores) == set(allowed)
    assert sum(map(math.exp, scores.values())) == pytest.approx(1, abs=0.02)


def test_the_answer_is_the_likeliest_allowed_token(server: Client) -> None:
    allowed = codes(server)
    answer = server.complete(PROMPT, logprobs=10, allowed_token_ids=allowed, return_tokens_as_token_ids=True)
    logprobs = answer["choices"][0]["logprobs"]
    top = logprobs["top_logprobs"][0]
    assert logprobs["tokens"] == [max(top, key=lambda token: top[token])]
    assert logprobs["token_logprobs"] == [max(top.values())]
    assert answer["usage"]["completion_tokens"] == 1


def test_masking_does_not_change_the_odds_between_allowed_tokens(server: Client) -> None:
    first, second = codes(server)[:2]
    two, ten = server.score(PROMPT, [first, second]), server.score(PROMPT, codes(server))
    assert two[first] - two[second] == pytest.approx(ten[first] - ten[second], abs=ROUNDING)


@pytest.mark.parametrize("models", [(MODEL,), ("one", "two"), (MODEL, "one")], ids="-".join)
def test_answers_given_together_are_those_given_alone(
    two_adapters: Client, models: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    server, allowed = two_adapters, codes(two_adapters)
    if server.vllm_cpu and set(models) == {MODEL, "one"}:
        reason = "vLLM's CPU build adds an adapter to base requests in its batch: vllm-project/vllm#48421"
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
    texts = [f"{'This notice may not be removed. ' * (n % 5 + 1)}{n}\nLicence:" for n in range(16)]
    asked = [(text, models[n % len(models)]) for n, text in enumerate(texts)]
    asked.sort(key=lambda pair: pair[1])  # so that alone each adapter is fetched once
    alone = [server.score(text, allowed, model=model) for text, model in asked]
    with ThreadPoolExecutor(len(asked)) as crowd:
        together = list(crowd.map(lambda pair: server.score(pair[0], allowed, model=pair[1]), asked))
    for one, other in zip(alone, together, strict=True):
        assert one == pytest.approx(other, abs=ROUNDING)


def test_several_prompts_in_one_request_are_answered_in_order(server: Client) -> None:
    prompts = ["The capital of France is", "The capital of Italy is"]
    choices = server.complete(prompts)["choices"]
    assert [choice["index"] for choice in choices] == [0, 1]
    assert [choice["text"] for choice in choices] == [
        server.complete(prompt)["choices"][0]["text"] for prompt in prompts
    ]


def test_a_prompt_may_come_as_token_ids(server: Client) -> None:
    ids = server.tokens(PROMPT)
    assert server.complete(ids)["choices"][0]["text"] == server.complete(PROMPT)["choices"][0]["text"]
    assert server.complete(ids)["usage"]["prompt_tokens"] == len(ids)
    assert len(server.complete([ids, ids])["choices"]) == 2


def test_the_probabilities_of_512_tokens_are_told_at_once(server: Client) -> None:
    allowed = list(range(1000, 1512))
    assert set(server.score(PROMPT, allowed)) == set(allowed)


# Adapters


def test_an_adapter_changes_the_answers_and_unloading_it_leaves_the_base_as_it_was(server: Client) -> None:
    allowed = codes(server)
    before = server.score(PROMPT, allowed)
    assert server.load("guest", server.adapters[0]).status_code == 200
    adapted = server.score(PROMPT, allowed, model="guest")
    assert max(abs(adapted[token] - before[token]) for token in allowed) > 2 * ROUNDING
    assert server.score(PROMPT, allowed) == pytest.approx(before, abs=ROUNDING)
    assert server.unload("guest").status_code == 200
    assert server.score(PROMPT, allowed) == pytest.approx(before, abs=ROUNDING)
    gone = server.http.post("/v1/completions", json={"model": "guest", "prompt": PROMPT})
    assert gone.status_code == 404


async def test_what_is_published_is_loaded_as_it_is_and_answers_as_its_bare_weights(
    server: Client, published: Published
) -> None:
    """Contract, card and signature lie beside them, and change nothing."""
    adapter = published.adapters[0]
    assert {path.name for path in published.folders[0].iterdir()} == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "contract.json",
        "model.sig",
    }
    async with ModelServer(server.url) as models:
        contract = await AdapterLoading(published.files, models, published.verifier).load(adapter)
        assert contract.token_of == contract_of(ADDED).token_of
        prompt, tokens = contract.prompt_for("Where is my parcel?"), list(contract.token_of.values())
        scored = await models.score(adapter.name, prompt, tokens)
        await models.unload_adapter(adapter.name)
    assert server.load("bare", lora_adapter(1)).status_code == 200
    assert scored.logprobs == pytest.approx(server.score(prompt, tokens, model="bare"), abs=ROUNDING)
    assert server.unload("bare").status_code == 200


async def test_what_was_trained_on_other_weights_of_the_same_name_is_refused(
    server: Client, published: Published, request: pytest.FixtureRequest
) -> None:
    if server.is_vllm:
        reason = "vLLM reads no contract, and does not say which weights it serves"
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
    other = publish(published.files, "other", 1, ADDED, published.private_key, f"sha256:{'0' * 64}")
    async with ModelServer(server.url) as models:
        try:
            with pytest.raises(ModelServerRefused, match="trained on other weights"):
                await AdapterLoading(published.files, models, published.verifier).load(other)
        finally:
            await models.unload_adapter(other.name)


def test_adapters_that_do_not_fit_into_memory_together_keep_their_own_answers(two_adapters: Client) -> None:
    server, allowed = two_adapters, codes(two_adapters)
    first = {name: server.score(PROMPT, allowed, model=name) for name in ("one", "two")}
    again = {name: server.score(PROMPT, allowed, model=name) for name in ("one", "two")}
    assert max(abs(first["one"][token] - first["two"][token]) for token in allowed) > 2 * ROUNDING
    for name in first:
        assert again[name] == pytest.approx(first[name], abs=ROUNDING)


def test_models_lists_the_base_and_its_adapters(two_adapters: Client) -> None:
    cards = {card["id"]: card for card in two_adapters.http.get("/v1/models").json()["data"]}
    assert cards[MODEL]["parent"] is None
    assert cards[MODEL]["max_model_len"] >= 2048
    assert cards["one"]["parent"] == MODEL
    assert cards["one"]["root"] == str(two_adapters.adapters[0])


def test_a_name_is_loaded_only_once(two_adapters: Client) -> None:
    answer = two_adapters.load("one", two_adapters.adapters[1])
    assert answer.status_code == 400
    assert "already" in error_of(answer)["message"]


def test_an_adapter_that_is_not_there_is_a_404(server: Client) -> None:
    answer = server.load("nobody", server.folder / "no-such-folder")
    assert answer.status_code == 404
    assert "No adapter found" in error_of(answer)["message"]
    assert error_of(server.unload("nobody"))["code"] == 404


@pytest.mark.parametrize(
    "body", [{}, {"lora_name": "x"}, {"lora_path": "/x"}, {"lora_name": 1, "lora_path": 2}]
)
def test_loading_needs_a_name_and_a_path(server: Client, body: dict[str, Any]) -> None:
    assert error_of(server.http.post("/v1/load_lora_adapter", json=body))["code"] == 400


def test_an_adapter_of_another_model_is_refused(
    server: Client, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if server.vllm_cpu:
        request.applymarker(pytest.mark.xfail(strict=True, reason="vLLM does not look at the shapes"))
    shutil.copy(server.adapters[0] / "adapter_config.json", tmp_path)
    weights = load_file(server.adapters[0] / "adapter_model.safetensors")
    narrow = {name: array[:, :3].copy() for name, array in weights.items()}
    save_file(narrow, tmp_path / "adapter_model.safetensors")
    answer = server.load("stranger", tmp_path)
    assert answer.status_code == 400
    assert "stranger" not in {card["id"] for card in server.http.get("/v1/models").json()["data"]}


def test_a_rank_above_the_limit_is_refused_with_the_limit(server: Client, tmp_path: Path) -> None:
    config = json.loads((server.adapters[0] / "adapter_config.json").read_text())
    weights = load_file(server.adapters[0] / "adapter_model.safetensors")
    wide = {
        name: numpy.repeat(array, 17, axis=0 if ".lora_A." in name else 1) for name, array in weights.items()
    }
    (tmp_path / "adapter_config.json").write_text(json.dumps(config | {"r": 68}))
    save_file(wide, tmp_path / "adapter_model.safetensors")
    answer = server.load("wide", tmp_path)
    assert answer.status_code in (400, 500)  # vLLM answers 500 to every adapter that it cannot load
    assert "rank 68 is greater than max_lora_rank 64" in error_of(answer)["message"]
    assert server.http.post("/v1/completions", json={"model": "wide", "prompt": PROMPT}).status_code == 404


# Text


def test_a_chat_goes_through_the_models_template(server: Client) -> None:
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    body = {"model": MODEL, "messages": messages, "max_tokens": 20, "temperature": 0}
    answer = server.http.post("/v1/chat/completions", json=body).json()
    assert answer["choices"][0]["message"] == answer["choices"][0]["message"] | {
        "role": "assistant",
        "content": "The capital of France is Paris.",
    }
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["prompt_tokens"] > len(server.tokens(messages[0]["content"]))


def test_a_chat_tells_log_probabilities(server: Client) -> None:
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Name a colour."}],
        "max_completion_tokens": 1,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 10,
        "allowed_token_ids": codes(server),
        "return_tokens_as_token_ids": True,
    }
    answer = server.http.post("/v1/chat/completions", json=body).json()
    content = answer["choices"][0]["logprobs"]["content"]
    top = {entry["token"]: entry["logprob"] for entry in content[0]["top_logprobs"]}
    assert set(top) == {f"token_id:{token}" for token in codes(server)}
    assert content[0]["token"] == max(top, key=lambda token: top[token])
    assert sum(map(math.exp, top.values())) == pytest.approx(1, abs=0.02)


def test_an_answer_stops_at_its_length_or_at_a_stop_string(server: Client) -> None:
    long = server.complete("One, two, three,", max_tokens=8)
    assert long["choices"][0]["finish_reason"] == "length"
    assert long["usage"] == long["usage"] | {"completion_tokens": 8}
    stopped = server.complete("One, two, three,", max_tokens=8, stop=[","])["choices"][0]
    assert stopped["finish_reason"] == "stop"
    assert stopped["text"] == long["choices"][0]["text"].split(",")[0]
    assert stopped["stop_reason"] == ","


def test_each_token_has_its_log_probability_and_offset(server: Client) -> None:
    answer = server.complete("One, two, three,", max_tokens=4, logprobs=2)["choices"][0]
    logprobs = answer["logprobs"]
    assert "".join(logprobs["tokens"]) == answer["text"]
    assert [len(top) for top in logprobs["top_logprobs"]] == [2] * 4
    assert logprobs["text_offset"][0] == 0
    assert logprobs["text_offset"][1] == len(logprobs["tokens"][0])


def test_the_same_seed_draws_the_same_text(server: Client) -> None:
    def drawn(seed: int) -> str:
        answer = server.complete("Once upon a time", max_tokens=6, temperature=1.5, top_p=0.9, seed=seed)
        return str(answer["choices"][0]["text"])

    assert drawn(1) == drawn(1)
    assert len({drawn(seed) for seed in range(4)}) > 1


def test_a_stream_ends_with_done_and_holds_the_same_text(server: Client) -> None:
    body = {"model": MODEL, "prompt": "One, two, three,", "max_tokens": 6, "temperature": 0, "stream": True}
    with server.http.stream("POST", "/v1/completions", json=body) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert lines[-1] == "[DONE]"
    text = "".join(choice["text"] for line in lines[:-1] for choice in json.loads(line)["choices"])
    assert text == server.complete("One, two, three,", max_tokens=6)["choices"][0]["text"]


def test_tokenize_counts(server: Client) -> None:
    answer = server.http.post("/tokenize", json={"model": MODEL, "prompt": "Licence: A"}).json()
    assert answer["count"] == len(answer["tokens"])
    assert answer["max_model_len"] >= 2048


# Requests that cannot be answered


def test_an_unknown_model_is_a_404(server: Client) -> None:
    answer = server.http.post("/v1/completions", json={"model": "nobody", "prompt": PROMPT})
    assert error_of(answer)["code"] == 404
    assert "nobody" in error_of(answer)["message"]


def test_a_prompt_beyond_the_context_is_a_400_that_says_so(server: Client) -> None:
    long = "word " * 9000
    answer = server.http.post("/v1/completions", json={"model": MODEL, "prompt": long, "max_tokens": 1})
    assert error_of(answer)["code"] == 400
    assert "maximum context length" in error_of(answer)["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": {"not": "a prompt"}},
        {"prompt": ""},
        {"max_tokens": "many"},
        {"max_tokens": 0},
        {"temperature": -1},
        {"top_p": 2},
        {"logprobs": 1000},
        {"allowed_token_ids": []},
        {"allowed_token_ids": [10_000_000]},
    ],
)
def test_a_field_that_makes_no_sense_is_a_400(server: Client, fields: dict[str, Any]) -> None:
    body = {"model": MODEL, "prompt": PROMPT} | fields
    assert error_of(server.http.post("/v1/completions", json=body))["code"] == 400


def test_text_that_is_not_json_is_a_400(server: Client) -> None:
    headers = {"content-type": "application/json"}
    answer = server.http.post("/v1/completions", content=b"{", headers=headers)
    assert error_of(answer)["code"] == 400


def test_fields_the_server_does_not_know_are_ignored(server: Client) -> None:
    assert server.complete(PROMPT, colour_of_the_sky="blue")["choices"]


def test_a_client_that_hangs_up_takes_no_other_with_it(server: Client) -> None:
    address = urlsplit(server.url)
    body = json.dumps({"model": MODEL, "prompt": "Once", "max_tokens": 2000, "stop": "\x00"}).encode()
    head = "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    allowed = codes(server)
    before = server.score(PROMPT, allowed)
    for _ in range(3):
        with socket.create_connection((str(address.hostname), address.port or 80)) as connection:
            connection.sendall(head.encode() + body)
            server.score(PROMPT, allowed)  # answered beside it
    assert server.score(PROMPT, allowed) == pytest.approx(before, abs=ROUNDING)
