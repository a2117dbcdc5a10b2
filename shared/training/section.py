"""The `training` section of a workload's definition: every setting may be left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from shared.fields import MOST_ITEMS, Name, Number, Part, Share, Whole

Method = Literal["lora", "qlora", "full", "fusion"]
Scheduler = Literal["linear", "cosine", "constant", "constant_with_warmup"]
ModuleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.]{1,100}$")]
Quantisation = Literal["nf4", "fp4"]
ComputeType = Literal["bfloat16", "float16", "float32"]
Combination = Literal["linear", "ties", "dare_linear", "dare_ties", "svd"]
FEWEST_TO_FUSE, MOST_FUSED = 2, 20
OF_FUSION = ("adapters", "combination", "weights", "density")
Fused = Annotated[tuple[Name, ...], Field(min_length=FEWEST_TO_FUSE, max_length=MOST_FUSED)]
NEW_NAMES = {"rank": "lora_r", "max_seq_length": "max_length"}
"""An old or a second name → the name."""
FILLED_IN_BEFORE = {
    "method": "lora",
    "rank": 16,
    "learning_rate": 2e-3,
    "batch_size": 16,
    "epochs": 2.0,
    "max_steps": 400,
    "seed": 1,
}
"""What a section held up to version 0.1: all of these and nothing else, said by somebody or not."""


def said_in_an_old_event(training: Mapping[str, Any]) -> Mapping[str, Any]:
    """What counts as said of an event's section; of version 0.1 what differs from what it filled in.

    A newer event writes `lora_r` for `rank`, and names every setting, so there it is all that stands there.
    """
    if training.keys() != FILLED_IN_BEFORE.keys():
        return training
    return {name: value for name, value in training.items() if value != FILLED_IN_BEFORE[name]}


class Training(Part):
    """What is left out is decided by `shared/training/defaults.py`: from rows, base model and device."""

    method: Method | None = None
    """`lora`, `qlora`, `full` or `fusion`."""
    lora_r: Annotated[int, Field(ge=1, le=256)] | None = None
    """Rank of the adapter's matrices. Also read as `rank`."""
    lora_alpha: Annotated[int, Field(ge=1, le=4096)] | None = None
    """The adapter counts alpha / r times."""
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share of the adapter's inputs that is dropped while training."""
    use_rslora: bool | None = None
    """Scale by alpha / sqrt(r) instead of alpha / r (Kalajdzievski 2023)."""
    target_modules: (
        Literal["all-linear"] | Annotated[tuple[ModuleName, ...], Field(min_length=1, max_length=100)] | None
    ) = None
    """The linear layers that get an adapter."""
    epochs: Annotated[float, Field(gt=0, le=100)] | None = None
    """How often each training row is read."""
    max_steps: Annotated[Whole, Field(ge=1)] | None = None
    """Optimiser steps at most, where that is fewer than the epochs take."""
    batch_size: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Rows at a time on a device."""
    gradient_accumulation_steps: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Batches to an optimiser step."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    """AdamW's, after warming up."""
    lr_scheduler_type: Scheduler | None = None
    """How the learning rate falls: `linear`, `cosine`, `constant`, `constant_with_warmup`."""
    warmup_steps: Annotated[Whole, Field(ge=0)] | None = None
    """Optimiser steps in which the learning rate rises from 0."""
    warmup_ratio: Share | None = None
    """The same as a share of all steps. Say one of the two."""
    weight_decay: Annotated[Number, Field(ge=0, le=1)] | None = None
    """AdamW's."""
    max_length: Annotated[int, Field(ge=8, le=MOST_ITEMS)] | None = None
    """Tokens of a row with its prompt and answer. A longer text loses its middle, in training only: the
    server refuses what is too long for its context. Also read as `max_seq_length`.
    """
    use_4bit: bool | None = None
    """The base model's weights in four bits: that is the method `qlora`."""
    bnb_4bit_quant_type: Quantisation | None = None
    """`nf4` or `fp4`."""
    bnb_4bit_use_double_quant: bool | None = None
    """Quantise the scales of the quantised weights as well."""
    bnb_4bit_compute_dtype: ComputeType | None = None
    """What the weights are unpacked to."""
    gradient_checkpointing: bool | None = None
    """Compute activations again instead of keeping them: less memory, about a third slower."""
    neftune_noise_alpha: Annotated[Number, Field(ge=0, le=100)] | None = None
    """Noise on the embeddings while training (Jain et al. 2023); 5 is usual, 0 is none."""
    validation_share: Annotated[float, Field(ge=0, le=0.5)] | None = None
    """Share of the training rows that is not trained on, and chooses the best epoch."""
    early_stopping_patience: Annotated[int, Field(ge=0, le=100)] | None = None
    """Epochs without a lower validation loss after which training ends; 0 trains to the end."""
    adapters: Fused | None = None
    """Names of the adapters of this workload that the method `fusion` makes one of. `tuneloop train` may name
    others.
    """
    combination: Combination | None = None
    """How the method `fusion` makes one of them."""
    weights: (
        Annotated[tuple[Annotated[Number, Field(ge=-10, le=10)], ...], Field(max_length=MOST_FUSED)] | None
    ) = None
    """How much of each adapter goes in, in the order of `adapters`."""
    density: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of each adapter's entries that TIES and DARE keep."""
    seed: Whole | None = None
    """Of everything that is drawn at random."""

    @model_validator(mode="before")
    @classmethod
    def _under_its_old_names(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        both = [old for old, new in NEW_NAMES.items() if old in given and given.get(new) is not None]
        if both:
            raise ValueError(f"{both[0]} and {NEW_NAMES[both[0]]} are one setting. Remove one.")
        if given.get("use_dora"):
            raise ValueError(
                "use_dora cannot be: vLLM refuses to serve such an adapter. Leave it out; a higher lora_r or "
                "use_rslora does what it is for."
            )
        return {NEW_NAMES.get(name, name): value for name, value in given.items() if name != "use_dora"}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.warmup_steps is not None and self.warmup_ratio is not None:
            raise ValueError("warmup_steps and warmup_ratio are two ways to say one thing. Remove one.")
        if self.use_4bit and self.method not in (None, "qlora"):
            raise ValueError(f'use_4bit is the method "qlora", and not "{self.method}". Remove one.')
        if self.use_4bit is False and self.method == "qlora":
            raise ValueError('the method "qlora" is with use_4bit. Say method = "lora", or remove use_4bit.')
        fused = [name for name in OF_FUSION if getattr(self, name) is not None]
        if fused and self.method != "fusion":
            raise ValueError(f'{fused[0]} goes with method = "fusion". Say so, or remove it.')
        if self.weights and self.adapters and len(self.weights) != len(self.adapters):
            raise ValueError("weights has a number for each of adapters, in their order.")
        return self
