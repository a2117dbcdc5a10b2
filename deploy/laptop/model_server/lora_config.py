"""What an adapter says of itself, checked before its weights are looked at: is it one that is served here?"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Self

from shared.adapters.contract import AdapterContract

BESIDES_LOW_RANK = (
    "alora_invocation_tokens",
    "alpha_pattern",
    "arrow_config",
    "fan_in_fan_out",
    "layer_replication",
    "lora_bias",
    "megatron_config",
    "modules_to_save",
    "rank_pattern",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
)
"""Of PEFT's settings those that make more, or something else, of an adapter than one rank and one scale for
all linear layers. vLLM refuses most of them, too."""
LEAVES_THE_BASE = ("eva", "gaussian", "lora_ga", "orthogonal")
"""Beginnings (`init_lora_weights`) besides PEFT's own. Others, such as PiSSA, take something out of the base
model; saved as it is, such an adapter does not fit the base as it was."""


class BadAdapter(Exception):
    """The files are an adapter, but not one that can be served on this base model."""


@dataclass(frozen=True)
class LoraConfig:
    rank: int
    scale: float
    """What the product of the two matrices is multiplied by."""
    trained_on: str
    """The base model, as whoever trained it called it; it may be a path."""

    @classmethod
    def read(cls, content: bytes, highest_rank: int) -> Self:
        """From adapter_config.json as PEFT writes it. Raises BadAdapter."""
        try:
            config = json.loads(content)
        except ValueError as error:
            raise BadAdapter(f"adapter_config.json cannot be read: {error}") from error
        if not isinstance(config, dict) or config.get("peft_type") != "LORA":
            raise BadAdapter("only LoRA adapters are served")
        rank, alpha = config.get("r"), config.get("lora_alpha")
        if not isinstance(rank, int) or not isinstance(alpha, int | float) or rank < 1:
            raise BadAdapter("adapter_config.json names no rank (r) and lora_alpha")
        if rank > highest_rank:
            raise BadAdapter(
                f"LoRA rank {rank} is greater than max_lora_rank {highest_rank}. Train it with a lower "
                "lora_r, or start the server with a higher --max-lora-rank"
            )
        _refuse_more_than_low_rank(config)
        scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
        return cls(rank, scale, str(config.get("base_model_name_or_path") or "another base model"))


def refuse_another_base(contract: bytes, served: str, digest: str | None) -> None:
    """Raises BadAdapter if contract.json cannot be read or names another base model than the one served.

    `digest`: of the weights that are served; only where both state one are they compared.
    """
    try:
        said = AdapterContract.read(contract)
    except ValueError as error:
        raise BadAdapter(f"contract.json cannot be read by this version: {error}") from error
    if said.base_model != served:
        raise BadAdapter(
            f"it was trained on {said.base_model}, and this server serves {served}: load it where its own is"
        )
    if None not in (digest, said.base_model_digest) and digest != said.base_model_digest:
        raise BadAdapter(
            f"it was trained on other weights of {served} than this server serves: serve those, or train it "
            "again"
        )


def _refuse_more_than_low_rank(config: dict[str, Any]) -> None:
    if config.get("bias") not in (None, "none"):
        raise BadAdapter(f"bias={config['bias']!r} is not served. Train it with bias='none'")
    for name in BESIDES_LOW_RANK:
        if config.get(name):
            raise BadAdapter(f"{name} is not served, only one rank for all linear layers. Train it without")
    beginning = config.get("init_lora_weights")
    if isinstance(beginning, str) and beginning not in LEAVES_THE_BASE:
        raise BadAdapter(
            f"it began as {beginning}, which changes the base model. Save it converted to plain LoRA (PEFT: "
            "path_initial_model_for_weight_conversion)"
        )
