"""A base model of two layers with a tokenizer of its own, and a task that it can learn in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from services.retraining import base_model
from services.retraining.training_rows import Example, Probe, probes
from services.retraining.training_work import TrainingWork
from shared.adapters.contract import AdapterContract, ContractLabel
from shared.cpu_dtype import DType
from shared.training.defaults import plan
from shared.training.device import Device
from shared.training.section import Training

NAME = "tiny"
PROMPT = "{text}\nTopic:"
ANSWERS = {"billing": " A", "delivery": " B"}
WORDS = ("refund", "parcel", "order", "please", "money", "where", "my", "is", "the", "now")


def tiny_base_model(folder: Path, seed: int = 0) -> str:
    """Written in safetensors with a byte-level tokenizer whose answers are one token each."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    texts = [f" {word} {word}\nTopic: A B C" for word in WORDS]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, min_frequency=1, special_tokens=["<end>"], initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(texts * 5, trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        initializer_range=0.3,  # else no layer before them moves a logit far
        eos_token_id=0,
        bos_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


def rows(count: int) -> list[dict[str, str]]:
    """Half of them about money, half about parcels."""
    return [
        {"text": f"where is my {'parcel' if number % 2 else 'refund'} please order {number}",
         "label": "delivery" if number % 2 else "billing"}
        for number in range(count)
    ]  # fmt: skip


def examples(given: Sequence[Mapping[str, str]]) -> list[Example]:
    return [Example(PROMPT.replace("{text}", row["text"]), ANSWERS[row["label"]]) for row in given]


def validation_probes(count: int = 40) -> list[Probe]:
    given = rows(count)
    return probes(given, examples(given))


def work(
    base: str, folder: Path, highest_rank: int = 64, dtype: DType = "float32", **said: Any
) -> TrainingWork:
    """A training of 40 rows for a few steps, with 20 rows to choose the best epoch by."""
    folder.mkdir(exist_ok=True)
    described = base_model.describe(base)
    given: dict[str, Any] = {"batch_size": 8, "epochs": 8.0, "learning_rate": 1e-2, "lora_r": 4}
    planned = plan(
        Training(**(given | said)),
        60,
        len(ANSWERS),
        40,
        described.parameters,
        Device(dtype=dtype),
        described.context,
        20,
    )
    return TrainingWork(
        examples=examples(rows(40)),
        validation=examples(rows(60)[40:]),
        base_model=base,
        base_model_name=NAME,
        plan=planned,
        checkpoint_every=100,
        folder=folder,
        on_step=lambda step, loss: None,
        highest_rank=highest_rank,
    )


def contract(base: str, **said: Any) -> AdapterContract:
    tokens = base_model.tokens_of(base_model.describe(base).tokenizer, ANSWERS)
    given: dict[str, Any] = {
        "workload": "tickets",
        "revision": 1,
        "prompt": PROMPT,
        "labels": tuple(
            ContractLabel(label=label, answer=answer, token=tokens[label])
            for label, answer in ANSWERS.items()
        ),
        "base_model": NAME,
        "base_model_digest": base_model.digest(base),
        "dataset_id": "d1",
        "lora_r": 4,
    }
    return AdapterContract(**(given | said))
