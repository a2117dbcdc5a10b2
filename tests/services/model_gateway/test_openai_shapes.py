"""Requests and replies have OpenAI's shapes, with labels where text would be."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from pydantic import ValidationError

from services.model_gateway import openai_document as document
from services.model_gateway import openai_replies as replies
from services.model_gateway.answer import Answer
from services.model_gateway.openai_limits import Unsupported
from services.model_gateway.openai_requests import (
    Asked,
    ChatRequest,
    CompletionRequest,
    EmptyText,
    TextTooLong,
)
from shared.events import PredictionLogged, now

ASKED = Asked("tickets", "hi", stream=False, stream_usage=False, top_logprobs=None, attributes={})
ANSWER = Answer.of(
    PredictionLogged(
        prediction_id="p-1",
        workload="tickets",
        predicted_at=now(),
        input="hi",
        answer="refund",
        confidence=0.75,
        probabilities={"other": 0.25, "refund": 0.75, "outage": 0.0},
        adapter="tickets-7",
        tokens_in=12,
    )
)


def chat(*messages: tuple[str, object], **fields: object) -> ChatRequest:
    published = [{"role": role, "content": content} for role, content in messages]
    return ChatRequest.model_validate({"model": "tickets", "messages": published, **fields})


def completion_request(prompt: object, **fields: object) -> CompletionRequest:
    return CompletionRequest.model_validate({"model": "tickets", "prompt": prompt, **fields})


def test_the_last_user_message_is_the_text() -> None:
    request = chat(("system", "be kind"), ("user", "first"), ("assistant", "yes?"), ("user", "second"))
    assert request.asked().text == "second"


def test_a_message_in_parts_is_one_text() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert chat(("user", parts)).asked().text == "ab"


@pytest.mark.parametrize("messages", [(("user", " \n"),), (("system", "only"),), (("user", None),)])
def test_no_text_is_refused(messages: tuple[tuple[str, object], ...]) -> None:
    with pytest.raises(EmptyText):
        chat(*messages).asked()


def test_a_text_past_64_kib_of_utf8_is_refused() -> None:
    assert CompletionRequest(model="tickets", prompt="é" * 32 * 1024).asked()
    with pytest.raises(TextTooLong):
        CompletionRequest(model="tickets", prompt="é" * 32 * 1024 + "e").asked()


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}


def test_only_the_last_user_message_need_be_text() -> None:
    history = [
        ("user", [{"type": "text", "text": "what is this?"}, IMAGE]),
        ("assistant", None),
        ("tool", {"any": "thing"}),
        ("user", "I want my money back"),
    ]
    assert chat(*history).asked().text == "I want my money back"


def test_an_image_in_the_last_user_message_is_refused_by_name() -> None:
    with pytest.raises(Unsupported) as refused:
        chat(("system", "be kind"), ("user", [{"type": "text", "text": "see"}, IMAGE])).asked()
    assert refused.value.param == "messages[1].content[1]"


@pytest.mark.parametrize(
    ("field", "asks", "asks_nothing"),
    [
        ("n", 2, 1),
        ("best_of", 3, 1),
        ("tools", [{"type": "function", "function": {"name": "refund"}}], []),
        ("functions", [{"name": "refund"}], None),
        ("tool_choice", "required", "none"),
        ("function_call", {"name": "refund"}, None),
        ("web_search_options", {}, None),
        ("response_format", {"type": "json_object"}, {"type": "text"}),
        ("response_format", {"type": "json_schema", "json_schema": {"name": "x"}}, None),
        ("logit_bias", {"50256": -100}, {}),
        ("modalities", ["text", "audio"], ["text"]),
        ("audio", {"voice": "alloy", "format": "mp3"}, None),
        ("echo", True, False),
        ("suffix", "!", ""),
    ],
)
def test_what_no_workload_can_do_is_refused_by_name_and_never_dropped(
    field: str, asks: object, asks_nothing: object
) -> None:
    for asked in (chat(("user", "hi"), **{field: asks}), completion_request("hi", **{field: asks})):
        with pytest.raises(Unsupported) as refused:
            asked.asked()
        assert refused.value.param == field
    assert chat(("user", "hi"), **{field: asks_nothing}).asked()


@pytest.mark.parametrize(
    "field",
    ["temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "stop", "presence_penalty"],
)
def test_what_only_steers_free_text_is_ignored(field: str) -> None:
    assert chat(("user", "hi"), **{field: 1}).asked() == chat(("user", "hi")).asked()


@pytest.mark.parametrize("prompt", ["hi", ["hi"]])
def test_a_prompt_is_one_text_by_itself_or_in_a_list(prompt: object) -> None:
    assert completion_request(prompt).asked().text == "hi"


@pytest.mark.parametrize("prompt", [["one", "two"], [1, 2, 3], [[1, 2], [3]], 7, {"text": "hi"}, [None]])
def test_several_prompts_and_tokens_are_refused_by_name(prompt: object) -> None:
    with pytest.raises(Unsupported) as refused:
        completion_request(prompt).asked()
    assert refused.value.param == "prompt"


@pytest.mark.parametrize("prompt", ["", " ", [], [""], None])
def test_an_empty_prompt_is_refused(prompt: object) -> None:
    with pytest.raises(EmptyText):
        completion_request(prompt).asked()


@pytest.mark.parametrize(
    "fields",
    [
        {"metadata": {"k": 1}},
        {"metadata": {"group_id": "two words"}},
        {"user": 7},
        {"metadata": {str(number): "" for number in range(17)}},
        {"logprobs": True, "top_logprobs": 21},
        {"messages": []},
        {"messages": [{"content": "who says so?"}]},
    ],
)
def test_what_cannot_be_kept_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        chat(("user", "hi"), **fields)


def test_a_chat_completion_says_the_label_and_the_adapter() -> None:
    reply = replies.chat_completion(ANSWER, ASKED)
    choice = reply["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": "refund", "refusal": None}
    assert choice["finish_reason"] == "stop"
    assert choice["logprobs"] is None
    assert (reply["id"], reply["object"], reply["model"]) == ("chatcmpl-p-1", "chat.completion", "tickets-7")
    assert reply["usage"] == {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 13}


def test_logprobs_are_the_labels_likeliest_first() -> None:
    reply = replies.chat_completion(ANSWER, replace(ASKED, top_logprobs=3))
    [token] = reply["choices"][0]["logprobs"]["content"]
    assert (token["token"], token["logprob"]) == ("refund", math.log(0.75))
    assert [row["token"] for row in token["top_logprobs"]] == ["refund", "other", "outage"]
    assert token["top_logprobs"][2]["logprob"] == -9999.0


def test_a_completion_says_the_label_as_its_text() -> None:
    choice = replies.completion(ANSWER, replace(ASKED, top_logprobs=1))["choices"][0]
    assert choice["text"] == "refund"
    assert choice["logprobs"]["top_logprobs"] == [{"refund": math.log(0.75)}]


@pytest.mark.parametrize("top", [None, 0, 3])
def test_replies_are_as_the_document_describes_them(top: int | None) -> None:
    asked = replace(ASKED, top_logprobs=top)
    chat_reply, reply = replies.chat_completion(ANSWER, asked), replies.completion(ANSWER, asked)
    assert document.ChatCompletion.model_validate(chat_reply).model_dump() == chat_reply
    assert document.Completion.model_validate(reply).model_dump() == reply


def test_a_stream_is_the_answer_its_end_and_done() -> None:
    body = replies.server_sent(replies.chat_chunks(ANSWER, replace(ASKED, stream=True))).decode()
    events = body.removesuffix("\n\n").split("\n\n")
    assert events[-1] == "data: [DONE]"
    answer, end = (json.loads(event.removeprefix("data: ")) for event in events[:-1])
    assert answer["choices"][0]["delta"]["content"] == "refund"
    assert (end["choices"][0]["delta"], end["choices"][0]["finish_reason"]) == ({}, "stop")
    assert answer["object"] == "chat.completion.chunk"


def test_a_stream_tells_the_usage_only_if_asked() -> None:
    chunks = replies.completion_chunks(ANSWER, replace(ASKED, stream_usage=True))
    assert [chunk["usage"] for chunk in chunks[:2]] == [None, None]
    assert chunks[2]["choices"] == []
    assert chunks[2]["usage"]["prompt_tokens"] == 12
    assert "usage" not in replies.completion_chunks(ANSWER, ASKED)[0]
