"""A base model of two layers with a tokenizer of its own, and a task that it can learn in seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from services.retraining.training_rows import Example
from services.retraining.training_work import TrainingWork
from shared.adapters.base_model_digest import base_model_digest
from shared.adapters.contract import AdapterContract, ContractLabel
from shared.cpu_dtype import DType
from shared.training.defaults import plan
from shared.training.device import Device
from shared.training.section import Training

NAME = "tiny"
PROMPT = "{text}\nTopic:"
ANSWERS = {"billing": " A", "delivery": " B"}
ABOUT = {"billing": "refund", "delivery": "parcel"}
"""Label → the one word of a row that tells it."""
WORDS = (*ABOUT.values(), "order", "please", "money", "where", "my", "is", "the", "now")
CHAT = "{% for message in messages %}{{ message.content }}\n{% endfor %}"


def tiny_base_model(folder: Path, spoil: Callable[[Any], None] = lambda model: None) -> str:
    """Written in safetensors with a byte-level tokenizer whose answers are one token each.

    `spoil` may change its weights before they are written.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    texts = [f" {word} {word}\nTopic: A B C" for word in WORDS]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, min_frequency=1, special_tokens=["<end>"], initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(texts * 5, trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", chat_template=CHAT
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        initializer_range=0.3,  # else no layer before them moves a logit far
        eos_token_id=0,
        bos_token_id=0,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        spoil(model)
    model.save_pretrained(folder)
    return str(folder)


def rows(count: int) -> list[dict[str, str]]:
    """Half of them about money, half about parcels, of several lengths."""
    labels = list(ABOUT)
    return [
        {"text": f"where is my {ABOUT[label]} {'please ' * (number % 5)}order {number}", "label": label}
        for number in range(count)
        for label in (labels[number % 2],)
    ]


def examples(given: Sequence[Mapping[str, str]]) -> list[Example]:
    return [Example(PROMPT.replace("{text}", row["text"]), ANSWERS[row["label"]]) for row in given]


def work(
    base: str,
    folder: Path,
    trained_on: int = 40,
    validation: int = 20,
    dtype: DType = "float32",
    highest_rank: int = 64,
    checkpoint_every: int = 100,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
    **said: Any,
) -> TrainingWork:
    """A training of a few rows for a few steps, with others to choose the best epoch by."""
    from services.retraining import base_model

    folder.mkdir(parents=True, exist_ok=True)
    described = base_model.describe(base)
    given: dict[str, Any] = {"batch_size": 8, "epochs": 8.0, "learning_rate": 1e-2, "lora_r": 4}
    every = rows(trained_on + validation)
    planned = plan(
        Training(**(given | said)),
        len(every),
        len(ANSWERS),
        40,
        described.parameters,
        Device(dtype=dtype),
        described.context,
        validation,
    )
    return TrainingWork(
        examples=examples(every[:trained_on]),
        validation=examples(every[trained_on:]),
        base_model=base,
        base_model_name=NAME,
        plan=planned,
        checkpoint_every=checkpoint_every,
        folder=folder,
        on_step=on_step,
        highest_rank=highest_rank,
    )


def contract(base: str, **said: Any) -> AdapterContract:
    from services.retraining import base_model

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
        "base_model_digest": base_model_digest(Path(base)),
        "dataset_id": "d1",
        "lora_r": 4,
    }
    return AdapterContract(**(given | said))
