from __future__ import annotations

from typing import Any

import pytest

from services.retraining.fusion_parts import differences
from shared.adapters.contract import AdapterContract, ContractLabel


def contract(tokens: dict[str, int] | None = None, **said: Any) -> AdapterContract:
    given: dict[str, Any] = {"prompt": "{text}\nTopic:", "base_model": "small", "lora_r": 8} | said
    return AdapterContract(
        workload="tickets",
        revision=1,
        dataset_id="d1",
        labels=tuple(
            ContractLabel(label=label, answer=f" {label}", token=token)
            for label, token in (tokens or {"billing": 1, "delivery": 2}).items()
        ),
        **given,
    )


def test_adapters_of_one_contract_may_have_another_rank_method_and_order_of_labels() -> None:
    assert differences([contract(), contract({"delivery": 2, "billing": 1}, lora_r=16, method="full")]) == []


def test_a_digest_that_one_does_not_know_is_no_difference() -> None:
    assert differences([contract(), contract(base_model_digest=f"sha256:{'0' * 64}")]) == []


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (contract(base_model="large"), "the base model ('large', 'small')"),
        (contract(base_model_digest=f"sha256:{'1' * 64}"), "the base model's weights"),
        (contract(tokenizer_digest=f"sha256:{'1' * 64}"), "the tokenizer"),
        (contract(prompt="{text}\nTheme:"), "the prompt ('{text}\\nTheme:', '{text}\\nTopic:')"),
        (contract({"billing": 1, "returns": 2}), "the labels (delivery, returns)"),
        (contract({"billing": 2, "delivery": 1}), "the tokens of the labels (billing, delivery)"),
    ],
    ids=["base", "weights", "tokenizer", "prompt", "labels", "tokens"],
)
def test_what_differs_is_named(other: AdapterContract, named: str) -> None:
    zeros = f"sha256:{'0' * 64}"
    first = contract(base_model_digest=zeros, tokenizer_digest=zeros)
    assert differences([first, other]) == [named]
