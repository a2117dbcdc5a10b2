"""A LoRA adapter out of the difference between a trained model's linear layers and the base model's.

Of all matrices of rank r the first r terms of the singular value decomposition are nearest to a difference
(Eckart and Young 1936); LoRAs are taken out of full fine-tunes that way (mergekit-extract-lora). Nearest in
the weights is not nearest in the answers, so the difference is measured where the layer's inputs x lie: with
S the root of the mean of x xᵀ, the terms are those of (W' − W) S, and S is divided out again (Wang et al.
2024, "SVD-LLM").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

OVERSAMPLED, POWER_ITERATIONS = 16, 4
"""Of the randomised decomposition (Halko, Martinsson and Tropp 2011)."""
EXACT_UP_TO = 256
"""Smaller sides are decomposed exactly: it takes no longer."""
RIDGE = 1e-3
"""Share of the mean input that every direction gets, for those that no text used."""


@dataclass(frozen=True)
class LowRank:
    """B A is the difference, B (outputs, r) and A (r, inputs), most important terms first."""

    a: torch.Tensor
    b: torch.Tensor

    def of_rank(self, r: int) -> LowRank:
        return LowRank(self.a[:r], self.b[:, :r])


def low_rank(difference: torch.Tensor, r: int, inputs: torch.Tensor | None = None) -> LowRank:
    """`difference` (outputs, inputs) as `r` terms.

    `inputs`: the mean of x xᵀ (inputs, inputs); without it every direction counts the same.
    """
    difference = difference.float()
    if inputs is None:
        return _terms(difference, r)
    most = inputs.diagonal().mean()
    root = torch.linalg.cholesky(inputs + RIDGE * most * torch.eye(len(inputs), device=inputs.device))
    weighted = _terms(difference @ root, r)
    return LowRank(torch.linalg.solve_triangular(root, weighted.a, upper=False, left=False), weighted.b)


def _terms(matrix: torch.Tensor, r: int) -> LowRank:
    r = min(r, *matrix.shape)
    if min(matrix.shape) <= max(EXACT_UP_TO, r + OVERSAMPLED):
        u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
        u, s, vh = u[:, :r], s[:r], vh[:r]
    else:
        with torch.random.fork_rng(devices=[matrix.device] if matrix.is_cuda else []):
            torch.manual_seed(0)
            u, s, v = torch.svd_lowrank(matrix, q=r + OVERSAMPLED, niter=POWER_ITERATIONS)
        u, s, vh = u[:, :r], s[:r], v[:, :r].T
    root = s.sqrt()
    return LowRank(root[:, None] * vh, u * root)


def mean_inputs(
    model: Any, layers: Sequence[str], prompts: Sequence[Sequence[int]]
) -> Mapping[str, torch.Tensor]:
    """Layer → mean of x xᵀ over the tokens of `prompts`, float32. Layers that read the same share one."""
    sums: dict[str, torch.Tensor] = {}
    tokens = sum(map(len, prompts))
    last: tuple[torch.Tensor | None, str] = (None, "")
    same: dict[str, str] = {}

    def note(name: str, x: torch.Tensor) -> None:
        nonlocal last
        if x is last[0]:  # as queries, keys and values do
            same[name] = last[1]
            return
        last = (x, name)
        flat = x.flatten(0, -2).float()
        sums[name] = sums.get(name, 0) + flat.T @ flat / tokens

    hooks = [
        model.get_submodule(name).register_forward_pre_hook(lambda _, given, name=name: note(name, given[0]))
        for name in layers
    ]
    try:
        device = next(model.parameters()).device
        with torch.inference_mode():
            for prompt in prompts:
                model.get_decoder()(input_ids=torch.tensor([list(prompt)], device=device), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: sums[same.get(name, name)] for name in layers}
