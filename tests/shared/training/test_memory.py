from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.training.base_model_shape import BaseModelShape
from shared.training.defaults import plan
from shared.training.device import Device
from shared.training.memory import Estimate, activations, estimate, refusal
from shared.training.plan import TrainingPlan
from shared.training.section import Training
from tests.shared.training.shapes import LLAMA_7B, SMOLLM2

ROOT = Path(__file__).parents[3]


def planned(shape: BaseModelShape, device: Device, tokens: int, **said: Any) -> TrainingPlan:
    return plan(Training(**said), 1000, 10, tokens, shape.parameters, device)


def of_7b(method: str, tokens: int = 512, batch_size: int | None = 4) -> Estimate:
    """On a GPU, with the defaults but for batches of four; None for those as well."""
    gpu = Device(kind="cuda", dtype="bfloat16")
    given = planned(LLAMA_7B, gpu, tokens, method=method, batch_size=batch_size)
    assert given.batch_size == (batch_size or 16)
    return estimate(given, LLAMA_7B, tokens, "sdpa")


def test_parameters_are_those_of_the_models_themselves() -> None:
    assert SMOLLM2.parameters == 134_515_008
    assert LLAMA_7B.parameters == 6_738_415_616


@pytest.mark.parametrize("tokens", [512, 1024])
def test_a_7b_model_takes_in_batches_of_four_what_is_known_of_lora_and_qlora(tokens: int) -> None:
    assert 16 <= of_7b("lora", tokens).memory <= 24
    assert 6 <= of_7b("qlora", tokens).memory <= 10


@pytest.mark.parametrize("batch_size", [4, None])
@pytest.mark.parametrize("tokens", [512, 1024])
def test_all_weights_of_a_7b_model_take_what_float32_and_adam_do(tokens: int, batch_size: int | None) -> None:
    """Four bytes for a weight of the linear layers, its gradient and each moment, two for autocast's copy.

    So it is more than the 60 GB of a training that is all in 16 bits, and no more than activations and what
    allocators keep above that.
    """
    weight = LLAMA_7B.linear_parameters / 1e9
    assert 16 * weight < of_7b("full", tokens, batch_size).memory < 1.35 * 18 * weight


def test_the_page_says_what_a_7b_model_takes_in_batches_of_four_and_with_the_defaults() -> None:
    page = (ROOT / "docs" / "training.md").read_text("utf-8")
    for method in ("full", "lora", "qlora"):
        figures = [
            f"{of_7b(method, 512, batch_size).memory:.0f} to {of_7b(method, 1024, batch_size).memory:.0f}"
            for batch_size in (4, None)
        ]
        assert f"| `{method}` | {figures[0]} | {figures[1]} |" in page


@pytest.mark.parametrize(
    ("method", "dtype", "attention", "tokens", "kept_mb"),
    [
        ("lora", "float32", "eager", 64, 351.5),
        ("lora", "float32", "eager", 128, 738.5),
        ("lora", "float32", "sdpa", 64, 310.5),
        ("lora", "bfloat16", "eager", 64, 247.4 - 9.8),
        ("qlora", "bfloat16", "eager", 64, 247.4 - 9.8),
        ("qlora", "float32", "eager", 64, 351.5),
        ("full", "float32", "eager", 64, 348.1),
        ("full", "bfloat16", "eager", 64, 447.3 - 212.4),
        ("full", "bfloat16", "sdpa", 64, 409.2 - 212.4),
    ],
)
def test_activations_are_those_that_autograd_kept(
    method: str, dtype: Any, attention: Any, tokens: int, kept_mb: float
) -> None:
    """Measured by saved_tensors_hooks on SmolLM2-135M, four rows, without autocast's copies of weights."""
    given = planned(SMOLLM2, Device(dtype=dtype), tokens, method=method, batch_size=4)
    of_one_layer_more = 31 / 30
    assert activations(given, SMOLLM2, tokens, attention) / 1e6 == pytest.approx(
        kept_mb * of_one_layer_more, rel=0.01
    )


def test_checkpointing_keeps_a_fraction_of_the_activations() -> None:
    kept = [
        activations(planned(SMOLLM2, Device(), 64, gradient_checkpointing=said), SMOLLM2, 64, "eager")
        for said in (False, True)
    ]
    assert kept[1] < kept[0] / 5


def test_the_parts_add_up_and_the_quantised_weights_are_the_smallest() -> None:
    weights = {method: of_7b(method).weights for method in ("full", "lora", "qlora")}
    assert weights["qlora"] < weights["lora"] / 3 < weights["full"] / 3
    lora = of_7b("lora")
    assert lora.memory == sum(lora.parts.values())
    single = planned(LLAMA_7B, Device(), 64, method="qlora", bnb_4bit_use_double_quant=False)
    double = planned(LLAMA_7B, Device(), 64, method="qlora")
    saved = estimate(single, LLAMA_7B, 64, "eager").weights - estimate(double, LLAMA_7B, 64, "eager").weights
    assert saved == pytest.approx(0.37 / 8 * LLAMA_7B.linear_parameters / 1e9, rel=0.02)  # 0.37 bits each


MEASURED_GB = {
    ("lora", "bfloat16", 57): 2.39,
    ("qlora", "bfloat16", 57): 2.25,
    ("full", "bfloat16", 57): 3.68,
    ("lora", "float32", 57): 3.64,
    ("qlora", "float32", 57): 3.37,
    ("full", "float32", 57): 3.73,
    ("lora", "bfloat16", 332): 5.53,
}
"""Method, type and tokens of the longest row → the highest peak of a process that trained SmolLM2-135M so."""


@pytest.mark.parametrize(("method", "dtype", "tokens"), MEASURED_GB)
def test_what_a_training_took_was_less_than_estimated_and_not_much(
    method: str, dtype: Any, tokens: int
) -> None:
    """`python -m tests.bench.training_memory` on two cores of an EPYC; with long rows, LoRA alone."""
    given = planned(SMOLLM2, Device(dtype=dtype), tokens, method=method)
    counted, took = estimate(given, SMOLLM2, tokens, "eager").memory, MEASURED_GB[method, dtype, tokens]
    assert took < counted < 1.35 * took


@pytest.mark.parametrize("processes", [1, 2])
def test_gradients_grow_into_the_room_of_activations_where_a_step_is_one_batch(processes: int) -> None:
    one, accumulated = (
        estimate(planned(SMOLLM2, Device(), 64, method="full", **said), SMOLLM2, 64, "eager", processes)
        for said in (
            {"batch_size": 8 * processes, "gradient_accumulation_steps": 1},
            {"batch_size": 8, "gradient_accumulation_steps": 2 * processes},
        )
    )
    assert one.gradients == accumulated.gradients
    assert one.activations == pytest.approx(accumulated.activations - one.gradients)


def test_a_cpu_has_to_hold_the_base_model_that_a_quantised_one_is_tried_on() -> None:
    cpu = estimate(planned(LLAMA_7B, Device(), 64, method="qlora"), LLAMA_7B, 64, "eager")
    assert cpu.memory > cpu.served == pytest.approx(4 * LLAMA_7B.parameters / 1e9)
    assert of_7b("qlora").served == 0


def test_a_training_with_too_little_memory_or_disk_is_refused_with_the_number() -> None:
    needed = of_7b("lora")
    refused = refusal("lora", needed, 12.0, 1000.0, "/run")
    assert refused is not None
    assert f"{needed.memory:.1f} GB of memory (weights 13.6" in refused
    assert "12.0 GB are free" in refused
    refused = refusal("lora", needed, 80.0, 0.5, "/run")
    assert refused is not None
    assert f"{needed.disk:.1f} GB in /run" in refused
    assert refusal("lora", needed, 80.0, 1000.0, "/run") is None


def together(method: str, processes: int, **said: Any) -> Estimate:
    """Of one of so many processes that train a 7B model, each on a GPU."""
    gpu = Device(kind="cuda", dtype="bfloat16")
    given = planned(LLAMA_7B, gpu, 512, method=method, **said)
    return estimate(given, LLAMA_7B, 512, "sdpa", processes)


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_processes_share_out_what_fsdp_does_and_each_has_the_rest(method: str) -> None:
    """Every process has batches of its own here: as many are accumulated."""
    said = {"batch_size": 4, "gradient_accumulation_steps": 4}
    one, four = together(method, 1, **said), together(method, 4, **said)
    for shared in ("gradients", "optimiser", "adapter"):
        assert getattr(four, shared) == pytest.approx(getattr(one, shared) / 4)
    for own in ("activations", "logits", "runtime", "disk"):
        assert getattr(four, own) == getattr(one, own)


def test_of_sharded_weights_a_process_has_its_part_and_what_it_computes_with() -> None:
    others = 4 * (LLAMA_7B.parameters - LLAMA_7B.linear_parameters) / 1e9
    layer = 4 * LLAMA_7B.linear_parameters / LLAMA_7B.layers / 1e9
    copies = 2 * LLAMA_7B.linear_parameters / 1e9  # of autocast, for the backward pass
    whole = 4 * LLAMA_7B.parameters / 1e9
    assert together("full", 1).weights == pytest.approx(whole + copies)
    assert together("full", 4).weights == pytest.approx(whole / 4 + others + 2 * layer + copies)


def test_weights_of_four_bits_are_whole_on_every_gpu() -> None:
    assert together("qlora", 4).weights > 0.5 * LLAMA_7B.linear_parameters / 1e9


def test_a_step_of_one_batch_is_shared_out_by_rows() -> None:
    assert together("lora", 4, batch_size=16).activations == pytest.approx(
        together("lora", 1, batch_size=16).activations / 4
    )


def test_gpus_that_are_enough_in_sum_are_too_few_where_each_is_too_small() -> None:
    said = {"batch_size": 16, "gradient_accumulation_steps": 4}
    one, four = together("lora", 1, **said), together("lora", 4, **said)
    assert four.memory > one.memory / 2
    assert one.memory < 4 * 8.0
    refused = refusal("lora", four, 8.0, 1000.0, "/run")
    assert refused is not None
    assert "8.0 GB are free" in refused


def test_every_process_reads_the_base_model_into_the_machines_memory() -> None:
    whole = LLAMA_7B.parameters / 1e9
    assert together("lora", 1).host == 0
    assert together("full", 4).host == pytest.approx(4 * (4 * whole + 0.75))
    assert together("lora", 4).host == pytest.approx(4 * (2 * whole + 0.75))
    assert together("qlora", 4).host == pytest.approx(4 * 0.75)  # quantised on the GPU
    refused = refusal("full", together("full", 4), 1000.0, 1000.0, "/run", 100.0)
    assert refused is not None
    assert "need up to 110.8 GB of the machine's memory" in refused
    assert "100.0 GB are free" in refused
    assert refusal("full", together("full", 4), 1000.0, 1000.0, "/run", 111.0) is None


def test_a_config_is_read_as_transformers_reads_it() -> None:
    llama = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
        "num_attention_heads": 32, "vocab_size": 32000}  # fmt: skip
    assert BaseModelShape.of(llama) == LLAMA_7B
    smollm2 = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "head_dim": 64,
        "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152,
        "tie_word_embeddings": True}  # fmt: skip
    assert BaseModelShape.of(smollm2) == SMOLLM2


def test_a_model_of_another_kind_is_not_counted() -> None:
    assert BaseModelShape.of({"n_embd": 768, "n_layer": 12}) is None
    nested = BaseModelShape.of({"text_config": {"hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100}})  # fmt: skip
    assert nested is not None
    assert nested.keys == nested.queries == 64
