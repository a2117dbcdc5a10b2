"""What a training is told is what runs: each setting is looked up in the trainer and model that it made."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file

from services.retraining.answer_trainer import AnswerTrainer
from services.retraining.methods import method_named
from tests.services.retraining.tiny_base_model import work

pytestmark = pytest.mark.usefixtures("one_thread")

STEPS, DECODER_LAYERS, LINEAR_LAYERS = 6, 2, 14
METHODS = ("lora", "qlora", "full")
RATES = {"lora": 1e-2, "qlora": 1e-2, "full": 1e-3}


@dataclass
class Watched:
    """What ran, step by step."""

    trainer: Any = None
    losses: list[float] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)
    gradients: list[dict[str, torch.Tensor | None]] = field(default_factory=list)
    layers_run: list[int] = field(default_factory=list)
    """How often a decoder's layer was computed: its MLP, for a checkpoint stands inside the layer's hooks."""
    noise: list[torch.Tensor] = field(default_factory=list)
    """What was added to the embeddings, (rows, tokens, entries)."""


def watched(base: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **said: Any) -> Watched:
    """A short training with these settings."""
    seen = Watched()
    training_step = AnswerTrainer.training_step

    def watching(trainer: AnswerTrainer, *given: Any, **named: Any) -> Any:
        seen.trainer = trainer
        seen.learning_rates.append(trainer.optimizer.param_groups[0]["lr"])
        seen.layers_run.append(0)
        model = trainer.model
        embeddings = model.get_input_embeddings()
        hooks = [embeddings.register_forward_hook(note_noise)]
        hooks += [
            layer.register_forward_pre_hook(count_layer)
            for name, layer in model.named_modules()
            if name.endswith(".mlp")
        ]
        loss = training_step(trainer, *given, **named)
        for hook in hooks:
            hook.remove()
        seen.gradients.append(
            {
                name: None if weight.grad is None else weight.grad.clone()
                for name, weight in model.named_parameters()
                if weight.requires_grad
            }
        )
        return loss

    def note_noise(embeddings: Any, given: Any, made: torch.Tensor) -> None:
        seen.noise.append((made - embeddings.weight[given[0]]).detach())

    def count_layer(layer: Any, given: Any) -> None:
        seen.layers_run[-1] += 1

    with monkeypatch.context() as patch:
        patch.setattr(AnswerTrainer, "training_step", watching)
        method = said.setdefault("method", "lora")
        given = {"learning_rate": RATES[method], "max_steps": STEPS, "trained_on": 24, "validation": 0}
        done = work(base, folder, on_step=lambda step, loss: seen.losses.append(loss), **(given | said))
        method_named(method)(done)
    return seen


def adapter(folder: Path) -> dict[str, torch.Tensor]:
    loaded: dict[str, torch.Tensor] = load_file(folder / "adapter" / "adapter_model.safetensors")
    return loaded


def adapter_config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "adapter" / "adapter_config.json").read_text("utf-8"))
    return config


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", METHODS)
def test_activations_that_are_computed_again_teach_the_same(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, dtype: str
) -> None:
    """Of frozen inputs a checkpoint may have no gradient to pass on: then an adapter stands still, unsaid."""
    chance = {"lora_dropout": 0.1, "neftune_noise_alpha": 5.0}
    kept, again = (
        watched(
            base, tmp_path / str(twice), monkeypatch,
            method=method, dtype=dtype, gradient_checkpointing=twice, **chance,
        )
        for twice in (False, True)
    )  # fmt: skip
    assert kept.layers_run == [DECODER_LAYERS] * STEPS
    assert again.layers_run == [2 * DECODER_LAYERS] * STEPS
    assert again.losses == pytest.approx(kept.losses, rel=1e-3)
    for before, after in zip(kept.gradients, again.gradients, strict=True):
        assert before.keys() == after.keys()
        for name, gradient in after.items():
            assert gradient is not None, name
            torch.testing.assert_close(gradient, before[name], rtol=1e-3, atol=1e-5)
    assert all(gradient is not None and gradient.any() for gradient in again.gradients[-1].values())
    assert len(again.gradients[-1]) == LINEAR_LAYERS * (1 if method == "full" else 2)


@pytest.mark.parametrize(
    ("scheduler", "after_two_of_warming_up"),
    [
        ("linear", [1.0, 0.75, 0.5, 0.25]),
        ("cosine", [(1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]),
        ("constant_with_warmup", [1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_the_learning_rate_rises_and_falls_as_it_is_told(
    base: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scheduler: str,
    after_two_of_warming_up: list[float],
) -> None:
    seen = watched(base, tmp_path, monkeypatch, lr_scheduler_type=scheduler, warmup_steps=2)
    assert seen.learning_rates == pytest.approx(
        [rate * RATES["lora"] for rate in (0.0, 0.5, *after_two_of_warming_up)]
    )


def test_a_constant_learning_rate_does_not_change(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watched(base, tmp_path, monkeypatch, lr_scheduler_type="constant")
    assert seen.learning_rates == [RATES["lora"]] * STEPS


@pytest.mark.parametrize("method", METHODS)
def test_every_trained_weight_decays_as_much_as_it_is_told(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    for said in ({}, {"weight_decay": 0.1}):
        seen = watched(base, tmp_path / str(len(said)), monkeypatch, method=method, max_steps=1, **said)
        groups = [group for group in seen.trainer.optimizer.param_groups if group["params"]]
        assert {group["weight_decay"] for group in groups} == {said.get("weight_decay", 0.0)}
        assert sum(len(group["params"]) for group in groups) == len(seen.gradients[0])


@pytest.mark.parametrize("method", METHODS)
def test_the_layers_that_are_named_are_trained_and_no_others(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    seen = watched(
        base, tmp_path, monkeypatch, method=method, max_steps=1, target_modules=("q_proj", "1.mlp.down_proj")
    )
    for weights in (seen.gradients[0], adapter(tmp_path)):
        layers = {name.partition("layers.")[2].partition(".lora_")[0] for name in weights}
        assert {layer.removesuffix(".weight") for layer in layers} == {
            "0.self_attn.q_proj", "1.self_attn.q_proj", "1.mlp.down_proj"
        }  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_noise_on_the_embeddings_is_as_large_as_it_is_told(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Uniform within alpha / sqrt(tokens * entries) (Jain et al. 2023)."""
    for alpha in (0.0, 5.0):
        seen = watched(
            base, tmp_path / str(alpha), monkeypatch, method=method, max_steps=2, neftune_noise_alpha=alpha
        )
        assert len(seen.noise) == 2
        for noise in seen.noise:
            _, tokens, entries = noise.shape
            assert float(noise.abs().max()) == pytest.approx(alpha / math.sqrt(tokens * entries), rel=0.01)


@pytest.mark.parametrize("method", ["lora", "qlora"])
@pytest.mark.parametrize(("use_rslora", "scale"), [(False, 24 / 8), (True, 24 / math.sqrt(8))])
def test_an_adapter_counts_as_often_in_training_as_it_says_to_the_server(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, use_rslora: bool, scale: float
) -> None:
    seen = watched(
        base, tmp_path, monkeypatch,
        method=method, max_steps=1, lora_r=8, lora_alpha=24, use_rslora=use_rslora, lora_dropout=0.25,
    )  # fmt: skip
    adapters = [layer for layer in seen.trainer.model.modules() if isinstance(layer, LoraLayer)]
    assert len(adapters) == LINEAR_LAYERS
    for layer in adapters:
        assert layer.scaling["default"] == pytest.approx(scale)
        assert layer.lora_dropout["default"].p == 0.25
        assert layer.lora_A["default"].weight.shape[0] == 8
    config = adapter_config(tmp_path)
    assert (config["r"], config["lora_alpha"], config["use_rslora"]) == (8, 24, use_rslora)
