"""The door to base models: what they are, what they run on, and their weights."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from services.retraining import processes
from services.retraining.training_outcome import BaseModelMissing, CannotTrain
from shared.adapters.tokenizer_digest import PROBES, tokenizer_digest
from shared.cpu_dtype import cpu_dtype
from shared.training.device import Device
from shared.training.memory import Attention

# PEFT imports bitsandbytes where it is installed, which then warns that kernels of a model hub are not.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

OF_A_FOLDER = {"local_files_only": True, "trust_remote_code": False}
ROOM = 1.3
"""Times the weights: they, and what a few rows take."""


@dataclass(frozen=True)
class BaseModel:
    """What is known of a base model before its weights are read."""

    config: Any
    tokenizer: Any
    parameters: int
    context: int
    """Tokens it reads at most."""
    linear_layers: tuple[str, ...]

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each, with those that the tokenizer puts before and after every text."""
        return [len(tokens) for tokens in self.tokenizer(list(texts))["input_ids"]] if texts else []


def describe(base_model: str) -> BaseModel:
    """Of the model in a folder. Raises BaseModelMissing."""
    disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(base_model, **OF_A_FOLDER)
        tokenizer = AutoTokenizer.from_pretrained(base_model, **OF_A_FOLDER)
    except (OSError, ValueError) as error:
        raise _missing(base_model) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    return BaseModel(
        config,
        tokenizer,
        empty.num_parameters(),
        config.get_text_config().max_position_embeddings,
        tuple(linear_layers(empty)),
    )


def linear_layers(model: Any) -> list[str]:
    """Names of the layers that an adapter may stand beside: all linear ones but the output's."""
    output = model.get_output_embeddings()
    return [
        name
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear) and layer is not output
    ]


def tokens_of(tokenizer: Any, answers: Mapping[str, str]) -> dict[str, int]:
    """Label → the one token of its answer. Raises CannotTrain."""
    tokens = {}
    for label, answer in answers.items():
        found = tokenizer(answer, add_special_tokens=False)["input_ids"]
        if len(found) != 1:
            raise CannotTrain(
                f"the answer {answer!r} of the label {label!r} is {len(found)} tokens for this base model, "
                "and not one. Add the workload again, so that its answers are chosen for this tokenizer."
            )
        tokens[label] = found[0]
    return tokens


def digest_of_tokenizer(tokenizer: Any) -> str:
    return tokenizer_digest([tokenizer(probe, add_special_tokens=False)["input_ids"] for probe in PROBES])


def weights(base_model: str, device: Device, **loading: Any) -> Any:
    """The model with its weights, in the type that the device computes in. Raises BaseModelMissing.

    `loading` goes to from_pretrained as it is.
    """
    release_memory()
    try:
        return AutoModelForCausalLM.from_pretrained(
            base_model,
            dtype=getattr(torch, device.dtype),
            attn_implementation=attention(device),
            **OF_A_FOLDER,
            **loading,
        )
    except (OSError, ValueError) as error:
        raise _missing(base_model) from error


def attention(device: Device) -> Attention:
    """What is fastest for short rows."""
    return "eager" if device.kind == "cpu" else "sdpa"


def this_device() -> Device:
    """Of several processes each takes a GPU of its own."""
    if torch.cuda.is_available():
        torch.cuda.set_device(processes.on_this_machine())
        return Device(kind="cuda", dtype="bfloat16" if torch.cuda.is_bf16_supported() else "float32")
    return Device(kind="cpu", dtype=cpu_dtype())


def placed(model: Any, device: Device) -> Any:
    """The model on the device if it has room for it; else where it is, which is the CPU."""
    if device.kind == "cuda":
        release_memory()
        size = sum(weight.numel() * weight.element_size() for weight in model.parameters())
        if torch.cuda.mem_get_info()[0] > ROOM * size:
            return model.to("cuda")
    return model


def release_memory() -> None:
    """Gives back what an earlier model had: it lives on in cycles, and then in the allocators' hands."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc's own
        trim(0)


def _missing(base_model: str) -> BaseModelMissing:
    return BaseModelMissing(
        f"the base model cannot be loaded from {base_model}. It must be a folder with a config.json, weights "
        "in safetensors and a tokenizer of a kind that transformers knows: a model's own code is never run."
    )
