"""How much memory and disk a training takes, part by part: known before it starts.

What each operation of a decoder layer keeps for its backward pass is added up, as Korthikanti et al. (2022,
"Reducing Activation Recomputation in Large Transformer Models") do for another kind of layer. It agrees with
autograd's own count.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from shared.training.base_model_shape import BaseModelShape
from shared.training.device import Kind
from shared.training.plan import TrainingPlan
from shared.training.steps import batches_of_each, largest_batch

GB = 1e9
FLOAT32, BFLOAT16 = 4, 2
ADAM = 2 * FLOAT32
"""Bytes of AdamW's two moments of a trained parameter."""
NF4_BLOCK, DOUBLE_QUANT_BLOCK = 64, 256
RUNTIME_GB: dict[Kind, float] = {"cpu": 0.75, "cuda": 0.6}
"""The interpreter with torch, transformers, peft and trl; on a GPU, CUDA's context."""
UNMEASURED = 0.15
"""Share that is added where no peak was measured: on a GPU, and to a base model that is read to be served."""
OTHERS = ("served", "disk", "host")
"""Fields of an estimate that are no part of the training's memory."""
GATHERED_LAYERS = 2
"""Decoder layers that a process has whole at a time under FSDP: the one it computes with, and the next."""
CHECKPOINTS, BEST_EPOCHS = 2, 3
"""The last checkpoint and the one that is being written; two weights of best epochs, and one half-written."""
Attention = Literal["eager", "sdpa"]


@dataclass(frozen=True)
class Estimate:
    """Gigabytes (1e9 bytes). Memory is the GPU's where training runs on one, else the machine's.

    Of several processes, each on a GPU of its own, it is that of one.
    """

    weights: float
    adapter: float
    gradients: float
    optimiser: float
    activations: float
    logits: float
    runtime: float
    allocator: float
    """What it keeps beside all that is in use."""
    served: float
    """Weights of the base model as it is served, which are read when the training has given back its own."""
    disk: float
    host: float
    """The machine's memory while several processes read the base model, each for itself; 0 for one process.

    At most: what lies on disk in the type that it is read in is mapped, and shared.
    """

    @property
    def parts(self) -> Mapping[str, float]:
        """Of the training itself."""
        return {name: value for name, value in vars(self).items() if name not in OTHERS}

    @property
    def memory(self) -> float:
        return max(sum(self.parts.values()), (1 + UNMEASURED) * (self.served + self.runtime))


def estimate(
    plan: TrainingPlan, base: BaseModelShape, tokens: int, attention: Attention, processes: int = 1
) -> Estimate:
    """What `plan` takes on its device. `tokens`: of the longest row with its prompt and answer.

    Several `processes` share out weights, gradients, moments and a step's rows (FSDP); each has all else.
    """
    tokens = min(tokens, plan.max_length)
    half = plan.device.dtype == "bfloat16"
    compute = BFLOAT16 if half else FLOAT32
    adapter = base.layers * sum(plan.lora_r * (i + o) for i, o in base.adapted(plan.target_modules))
    trained = base.linear_parameters if plan.method == "full" else adapter
    # Every forward pass under autocast leaves a copy in 16 bits of the float32 weights that it used.
    copies = BFLOAT16 * trained if half else 0
    saved = base.parameters if plan.method == "full" else adapter
    kept = activations(plan, base, tokens, attention, processes)
    in_use = {
        "weights": _held(plan, base, compute, processes) + copies,
        "adapter": 0 if plan.method == "full" else FLOAT32 * adapter / processes,
        "gradients": FLOAT32 * trained / processes,
        "optimiser": ADAM * trained / processes,
        "activations": kept,
        "logits": 3 * FLOAT32 * plan.batch_size * base.vocabulary,  # of the answers' tokens and no other
        "runtime": RUNTIME_GB[plan.device.kind] * GB,
    }
    if plan.device.kind == "cpu":
        if batches_of_each(plan.gradient_accumulation_steps, processes) == 1:
            # Gradients grow as activations are let go of. A GPU's AdamW takes that room again at its step.
            in_use["activations"] = max(0, kept - in_use["gradients"])
        allocator = _holes(kept)
    else:
        allocator = UNMEASURED * sum(in_use.values())
    return Estimate(
        **{name: value / GB for name, value in in_use.items()},
        allocator=allocator / GB,
        # A GPU without the room for them leaves them to the CPU.
        served=compute * base.parameters / GB if plan.device.kind == "cpu" else 0,
        disk=(CHECKPOINTS * (FLOAT32 * saved + ADAM * trained) + FLOAT32 * (BEST_EPOCHS * trained + adapter))
        / GB,
        host=_read_by(processes, plan, base, compute) / GB if processes > 1 else 0,
    )


def activations(
    plan: TrainingPlan, base: BaseModelShape, tokens: int, attention: Attention, processes: int = 1
) -> float:
    """Bytes that one process's batch of rows of `tokens` keeps for the backward pass."""
    in_batch = largest_batch(plan.batch_size, plan.gradient_accumulation_steps, processes) * tokens
    layer = in_batch * _per_token(plan, base, tokens, attention)
    half = plan.device.dtype == "bfloat16"
    stream = in_batch * base.hidden * (BFLOAT16 if half and plan.method != "full" else FLOAT32)
    if plan.gradient_checkpointing:  # every layer keeps its input, and one at a time all the rest
        return base.layers * stream + 2 * layer
    return base.layers * layer + layer  # gradients of one layer's at a time


def refusal(
    method: str,
    needed: Estimate,
    free_memory_gb: float,
    free_disk_gb: float,
    where: str,
    free_host_gb: float = math.inf,
) -> str | None:
    """Why this training must not start, with the number and what to do; None if it may.

    `free_memory_gb` is for one process, `free_host_gb` for all of them to read the base model.
    """
    if needed.memory > free_memory_gb:
        parts = ", ".join(f"{name} {value:.1f}" for name, value in needed.parts.items() if value >= 0.05)
        tried = f"; {needed.served:.1f} GB to try the adapter on" if needed.served else ""
        return (
            f"training with the method {method} needs about {needed.memory:.1f} GB of memory ({parts} GB"
            f"{tried}), and {free_memory_gb:.1f} GB are free. Say a smaller batch_size or max_length, "
            "gradient_checkpointing = true or another method (qlora needs least), or take a smaller base "
            "model or a larger machine."
        )
    if needed.host > free_host_gb:
        return (
            f"the processes that train together with the method {method} need up to {needed.host:.1f} GB of "
            f"the machine's memory, for each reads the base model, and {free_host_gb:.1f} GB are free. Give "
            "the training fewer GPUs (RETRAINING_GPUS_PER_RUN, JOB_KUBERNETES_GPUS), or take a smaller base "
            "model or a machine with more memory."
        )
    if needed.disk > free_disk_gb:
        return (
            f"training with the method {method} needs about {needed.disk:.1f} GB in {where} for its "
            f"checkpoints and its adapter, and {free_disk_gb:.1f} GB are free. Make room."
        )
    return None


def _holes(kept: float) -> float:
    """Bytes that glibc keeps between blocks of many sizes beside activations of `kept` bytes, at most.

    Not derived but measured, by `python -m tests.bench.training_memory`: nearly as much again for short rows,
    less for long ones.
    """
    return min(1.1 * kept, GB + 0.3 * kept)


def _held(plan: TrainingPlan, base: BaseModelShape, compute: int, processes: int) -> float:
    """Bytes that one process has of the base model: its part, and whole what it computes with."""
    layers, others = _weights(plan, base, compute)
    if processes == 1:
        return layers + others
    if plan.method == "qlora":  # FSDP leaves four-bit weights whole
        return layers + others / processes + others
    return (layers + others) / processes + GATHERED_LAYERS * layers / base.layers + others


def _read_by(processes: int, plan: TrainingPlan, base: BaseModelShape, compute: int) -> float:
    """Bytes of the machine's memory that so many processes, each on a GPU, take to read the base model."""
    read = 0 if plan.method == "qlora" else sum(_weights(plan, base, compute))  # that is quantised on the GPU
    return processes * (read + RUNTIME_GB["cpu"] * GB)


def _weights(plan: TrainingPlan, base: BaseModelShape, compute: int) -> tuple[float, float]:
    """Bytes of the base model as the method loads it: of the decoder's linear layers, and of all else."""
    others = base.parameters - base.linear_parameters
    match plan.method:
        case "full":  # trained in float32, or most steps would be rounded away
            return FLOAT32 * base.linear_parameters, FLOAT32 * others
        case "qlora":
            bits = 4 + 32 / NF4_BLOCK  # Dettmers et al. 2023, "QLoRA", section 3
            if plan.bnb_4bit_use_double_quant:
                bits = 4 + 8 / NF4_BLOCK + 32 / (NF4_BLOCK * DOUBLE_QUANT_BLOCK)
            return base.linear_parameters * bits / 8, compute * others
        case "lora" | "fusion":
            return compute * base.linear_parameters, compute * others


def _per_token(plan: TrainingPlan, base: BaseModelShape, tokens: int, attention: Attention) -> float:
    """Bytes that one decoder layer keeps for one token of rows of `tokens`."""
    half = plan.device.dtype == "bfloat16"
    compute = BFLOAT16 if half else FLOAT32
    full = plan.method == "full"
    adapted = list(base.linear_layers.values()) if full else base.adapted(plan.target_modules)
    norms = 2 * FLOAT32 * base.hidden
    if half or (plan.lora_dropout and not full):  # each layer keeps its input in a copy of its own
        inputs = compute * sum(inputs for inputs, _ in adapted)
    else:
        inputs = compute * (2 * base.hidden + base.queries + base.intermediate)
    if plan.lora_dropout and not full:
        inputs += FLOAT32 * sum(inputs for inputs, _ in adapted)
    low_rank = 0 if full else compute * plan.lora_r * len(adapted)
    feed_forward = compute * 3 * base.intermediate
    if attention == "eager":  # keys and values repeated for every head, and every probability
        probabilities = FLOAT32 + BFLOAT16 if half else FLOAT32
        heads = compute * 3 * base.queries + probabilities * tokens * base.heads
    else:
        heads = compute * (base.queries + 2 * base.keys) + FLOAT32 * base.heads
    return norms + inputs + low_rank + feed_forward + heads
