"""Scoring on the real model server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from types import MappingProxyType

import pytest

from shared.adapters.label_contract import LabelContract
from shared.label_scoring import LabelScoring
from shared.model_server import ModelServer, UnknownModel
from tests.servers.adapters import tokens_of
from tests.servers.model import MODEL, model_server
from tests.shared.adapters.example_contract import contract

ANSWERS = {"billing": " A", "delivery": " B", "other": " C"}


@pytest.fixture(scope="module")
def models_url() -> Iterator[str]:
    with model_server() as url:
        yield url


@pytest.fixture
async def models(models_url: str) -> AsyncIterator[ModelServer]:
    async with ModelServer(models_url) as models:
        yield models


@pytest.fixture
def asked_by() -> LabelContract:
    return LabelContract("", "\nTopic:", MappingProxyType(tokens_of(ANSWERS)))


async def test_the_answer_is_a_label(models: ModelServer, asked_by: LabelContract) -> None:
    scoring = LabelScoring(models)
    texts = [f"parcel {number} is late" for number in range(4)]
    scored = await asyncio.gather(*(scoring.answer(MODEL, asked_by, text) for text in texts))
    for one in scored:
        assert list(one.answer.probabilities) == ["billing", "delivery", "other"]
        assert sum(one.answer.probabilities.values()) == pytest.approx(1)
        assert one.answer.confidence == one.answer.probabilities[one.answer.label]
        assert one.prompt_tokens > 3


async def test_another_contract_is_another_question(models: ModelServer, asked_by: LabelContract) -> None:
    scoring = LabelScoring(models)
    first = await scoring.answer(MODEL, asked_by, "parcel")
    second = await scoring.answer(MODEL, replace(asked_by, before="Read this carefully: "), "parcel")
    assert second.prompt_tokens > first.prompt_tokens
    assert second.answer.probabilities != first.answer.probabilities


async def test_a_model_that_is_not_loaded_is_unknown(models: ModelServer, asked_by: LabelContract) -> None:
    with pytest.raises(UnknownModel):
        await LabelScoring(models).answer("nobody", asked_by, "text")


def test_an_adapter_is_asked_by_its_own_prompt_labels_and_tokens_in_their_order() -> None:
    own = contract().model_copy(update={"prompt": "Read {text}\nTopic:"})
    asked_by = LabelContract.of(own)
    assert list(asked_by.token_of.items()) == [("refund", 11), ("outage", 12), ("other", 13)]
    asked = f"{asked_by.before}{{text}} and 5% {asked_by.after}"
    assert asked == "Read {text} and 5% \nTopic:"
