"""Scoring on the real model server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.events import FrozenFile, WorkloadAdded
from shared.label_scoring import LabelContract, LabelScoring, NotOneToken
from shared.model_server import ModelServer, UnknownModel
from shared.workload import Workload
from tests.servers.model import MODEL, model_server

CONTRACT = LabelContract(MODEL, "", "\nTopic:", (("billing", " A"), ("delivery", " B"), ("other", " C")))


class CountingModelServer(ModelServer):
    """The client, and how often it asked for tokens."""

    asked_for_tokens = 0

    async def tokenize(self, model: str, text: str) -> list[int]:
        self.asked_for_tokens += 1
        return await super().tokenize(model, text)


@pytest.fixture(scope="module")
def models_url() -> Iterator[str]:
    with model_server() as url:
        yield url


@pytest.fixture
async def models(models_url: str) -> AsyncIterator[CountingModelServer]:
    async with CountingModelServer(models_url) as models:
        yield models


async def test_the_answer_is_a_label_and_its_tokens_are_asked_for_once(models: CountingModelServer) -> None:
    scoring = LabelScoring(models)
    texts = [f"parcel {number} is late" for number in range(4)]
    scored = await asyncio.gather(*(scoring.answer(MODEL, CONTRACT, text) for text in texts))
    assert models.asked_for_tokens == 3
    for one in scored:
        assert list(one.answer.probabilities) == ["billing", "delivery", "other"]
        assert sum(one.answer.probabilities.values()) == pytest.approx(1)
        assert one.answer.confidence == one.answer.probabilities[one.answer.label]
        assert one.prompt_tokens > 3


async def test_another_contract_is_another_question(models: CountingModelServer) -> None:
    scoring = LabelScoring(models)
    first = await scoring.answer(MODEL, CONTRACT, "parcel")
    longer = replace(CONTRACT, before="Read this carefully: ")
    second = await scoring.answer(MODEL, longer, "parcel")
    assert second.prompt_tokens > first.prompt_tokens
    assert second.answer.probabilities != first.answer.probabilities


@pytest.mark.parametrize("answers", [(" A", " never one token"), (" A", " A"), (" A", "")])
async def test_answers_that_are_not_one_token_each_are_named(
    models: CountingModelServer, answers: tuple[str, str]
) -> None:
    contract = replace(CONTRACT, answers=(("x", answers[0]), ("y", answers[1])))
    scoring = LabelScoring(models)
    for _ in range(2):
        with pytest.raises(NotOneToken, match=repr(answers[1])):
            await scoring.answer(MODEL, contract, "text")


async def test_a_model_that_is_not_loaded_is_unknown(models: CountingModelServer) -> None:
    with pytest.raises(UnknownModel):
        await LabelScoring(models).answer("nobody", CONTRACT, "text")


def test_a_contract_holds_the_definition_s_labels_in_its_order_and_its_prompt_as_it_stands() -> None:
    added = WorkloadAdded(
        revision=3,
        definition=Workload(name="t", title="T", prompt="Read {text}\nTopic:", labels=("b", "a")),
        answers={"a": " A", "b": " B", "gone": " C"},
        rows=FrozenFile(uri="rows", digest="sha256:" + "0" * 64, rows=0),
        added_at=datetime(2026, 11, 26, tzinfo=UTC),
    )
    contract = LabelContract.of(added)
    assert contract.answers == (("b", " B"), ("a", " A"))
    asked = f"{contract.before}{{text}} and 5% {contract.after}"
    assert asked == "Read {text} and 5% \nTopic:"
