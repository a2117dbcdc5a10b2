"""A base model of two small layers with random weights, which trains in seconds, and a work for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.retraining.training_rows import Example
from services.retraining.training_work import TrainingWork
from shared.training.defaults import plan
from shared.training.device import Device
from shared.training.section import Training
from tests.servers.model import base_model_folder

LABELS = {"billing": " bill", "delivery": " parcel", "other": " other"}
TEXTS = {"billing": "refund my money", "delivery": "where is my parcel", "other": "tell me a joke"}


def tiny_base_model(folder: Path, spoil: Callable[[Any], None] = lambda model: None) -> Path:
    """With the real base model's tokenizer. `spoil` may change its weights before they are written."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=49152,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            initializer_range=0.2,
        )
    )
    with torch.no_grad():
        spoil(model)
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(base_model_folder() / name, folder / name)
    return folder


def tiny_work(
    base: Path,
    folder: Path,
    rows: int = 48,
    validation: int = 12,
    dtype: Any = "float32",
    on_step: Callable[[int, float], None] = lambda step, loss: None,
    **said: Any,
) -> TrainingWork:
    folder.mkdir(parents=True, exist_ok=True)
    given = {"learning_rate": 1e-2, "lora_r": 4, "batch_size": 8, "epochs": 3.0} | said
    return TrainingWork(
        examples=[_example(number) for number in range(rows)],
        validation=[_example(number) for number in range(1000, 1000 + validation)],
        base_model=str(base),
        base_model_name="tiny",
        plan=plan(
            Training.model_validate(given),
            rows + validation,
            len(LABELS),
            20,
            1,
            Device(dtype=dtype),
            512,
            validation,
        ),
        checkpoint_every=4,
        folder=folder,
        on_step=on_step,
    )


def _example(number: int) -> Example:
    label = list(LABELS)[number % 3]
    return Example(f"{TEXTS[label]}, {'please ' * (number % 5)}order {number}\nTopic:", LABELS[label])
