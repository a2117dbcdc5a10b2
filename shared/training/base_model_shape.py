"""The sizes in a base model's config.json from which memory is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class BaseModelShape:
    """A decoder with a gated feed-forward part, as Llama's, Mistral's, Qwen's and Gemma's are."""

    layers: int
    hidden: int
    intermediate: int
    queries: int
    """Heads times the size of a head."""
    keys: int
    """The same of keys, or of values: fewer where heads share them (grouped-query attention)."""
    heads: int
    vocabulary: int
    tied_embeddings: bool
    """The output layer is the input's embedding."""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self | None:
        """From a config.json's content; None where it is another kind of model, which nobody can count."""
        config = config.get("text_config", config)
        try:
            heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
            head = int(config.get("head_dim") or hidden // heads)
            return cls(
                layers=int(config["num_hidden_layers"]),
                hidden=hidden,
                intermediate=int(config["intermediate_size"]),
                queries=heads * head,
                keys=int(config.get("num_key_value_heads") or heads) * head,
                heads=heads,
                vocabulary=int(config["vocab_size"]),
                tied_embeddings=bool(config.get("tie_word_embeddings", False)),
            )
        except (KeyError, TypeError, ValueError):
            return None

    @property
    def linear_layers(self) -> dict[str, tuple[int, int]]:
        """(inputs, outputs) of each linear layer of one decoder layer."""
        return {
            "q_proj": (self.hidden, self.queries),
            "k_proj": (self.hidden, self.keys),
            "v_proj": (self.hidden, self.keys),
            "o_proj": (self.queries, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }

    @property
    def linear_parameters(self) -> int:
        """Of all decoder layers: what LoRA stands beside and QLoRA quantises."""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.linear_layers.values())

    @property
    def embedding_parameters(self) -> int:
        return self.hidden * self.vocabulary * (1 if self.tied_embeddings else 2)

    @property
    def parameters(self) -> int:
        norms = self.hidden * (2 * self.layers + 1)
        return self.linear_parameters + self.embedding_parameters + norms

    def adapted(self, targets: str | tuple[str, ...]) -> list[tuple[int, int]]:
        """(inputs, outputs) of the linear layers of one decoder layer that get an adapter."""
        if isinstance(targets, str):
            return list(self.linear_layers.values())
        names = {target.rpartition(".")[2] for target in targets}
        return [sizes for name, sizes in self.linear_layers.items() if name in names]
