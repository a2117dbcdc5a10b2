"""LoRA's weights: read from safetensors and checked against the base model, and the layers that add them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as functional
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from deploy.laptop.model_server.lora_config import BadAdapter, LoraConfig

_PREFIX = "base_model.model."
_KINDS = ("lora_A", "lora_B")


class LowRank(nn.Module):  # type: ignore[misc]  # torch is not followed
    """A linear layer and what an adapter adds to it: x W' + (x down') up'."""

    def __init__(self, layer: nn.Linear, down: Tensor, up: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self.down, self.up = down, up

    def forward(self, x: Tensor) -> Tensor:
        """`x`: [1, tokens, in]."""
        rows = x[0]
        plain = functional.linear(rows, self.weight, self.bias)
        return torch.addmm(plain, functional.linear(rows, self.down), self.up.t())[None]

    def merged(self) -> nn.Linear:
        """The same layer as one matrix, in memory of its own."""
        layer = nn.Linear(self.weight.shape[1], self.weight.shape[0], bias=False, device="meta")
        weight = torch.addmm(self.weight.float(), self.up.float(), self.down.float())
        layer.weight = nn.Parameter(weight.to(self.weight.dtype), requires_grad=False)
        layer.bias = self.bias
        return layer


def linear_layers(base: nn.Module) -> dict[str, nn.Linear]:
    """Those that an adapter may change, by name. The head shares its weight with the embeddings."""
    return {
        name: layer
        for name, layer in base.named_modules()
        if isinstance(layer, nn.Linear) and name != "lm_head"
    }


def read_weights(
    content: bytes, config: LoraConfig, layers: Mapping[str, nn.Linear]
) -> dict[str, tuple[Tensor, Tensor]]:
    """Layer → (down [rank, in], up [out, rank], the scale in it), in the layers' dtype. Raises BadAdapter.

    Of an adapter_model.safetensors as PEFT writes it: every tensor belongs to a layer of the base model and
    has its shape, every number is finite.
    """
    try:
        tensors = load(content)
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise BadAdapter(f"adapter_model.safetensors cannot be read: {error}") from error
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        name, _, kind = key.removeprefix(_PREFIX).removesuffix(".weight").rpartition(".")
        if kind not in _KINDS or name not in layers:
            raise BadAdapter(f"{key} belongs to no linear layer of this base model{_trained(config)}")
        found.setdefault(name, {})[kind] = tensor
    if not found:
        raise BadAdapter("it holds no weights")
    return {name: _pair(name, pair, config, layers[name]) for name, pair in found.items()}


def _pair(name: str, pair: dict[str, Tensor], config: LoraConfig, layer: nn.Linear) -> tuple[Tensor, Tensor]:
    wanted = (config.rank, layer.in_features), (layer.out_features, config.rank)
    for kind, shape in zip(_KINDS, wanted, strict=True):
        if kind not in pair:
            raise BadAdapter(f"{name} has no {kind}")
        if (found := tuple(pair[kind].shape)) != shape:
            raise BadAdapter(
                f"{kind} of {name} has the shape {found}, and {shape} fits this base model{_trained(config)}"
            )
    down, up = pair["lora_A"].float(), pair["lora_B"].float() * config.scale
    # The product's norm is at most this, so no merged weight can be other than finite either.
    if not bool(torch.isfinite(down.norm() * up.norm())):
        raise BadAdapter(f"the weights of {name} are not finite: its training diverged. Train it again")
    dtype = layer.weight.dtype
    return down.to(dtype), up.to(dtype)


def _trained(config: LoraConfig) -> str:
    return f"; it was trained on {config.trained_on}"


def with_low_rank(base: Any, weights: Mapping[str, tuple[Tensor, Tensor]]) -> Any:
    """The base model with the adapter beside it; all else is the base's own memory."""
    model = _sharing_memory(base)
    for name, layer in linear_layers(model).items():
        if name in weights:
            model.set_submodule(name, LowRank(layer, *weights[name]))
    return model.eval()


def merged(model: Any) -> Any:
    """What `with_low_rank` gave, with each changed layer as one matrix; the rest stays shared."""
    copied = _sharing_memory(model)
    for name, layer in list(copied.named_modules()):
        if isinstance(layer, LowRank):
            copied.set_submodule(name, layer.merged())
    return copied.eval()


def _sharing_memory(model: nn.Module) -> Any:
    """A copy whose parameters and adapters lie in the same memory."""
    shared: dict[int, Any] = {
        id(own): nn.Parameter(own.data, requires_grad=False) for own in model.parameters()
    }
    for layer in model.modules():
        if isinstance(layer, LowRank):
            shared |= {id(own): own for own in (layer.down, layer.up)}
    return copy.deepcopy(model, shared)
