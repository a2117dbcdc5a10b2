"""Each method trains a tiny base model, and leaves an adapter that answers as it was trained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.nn import Linear4bit
from peft import PeftModel
from safetensors.torch import load_file

from services.retraining import base_model
from services.retraining.answer_trainer import AnswerTrainer
from services.retraining.methods import full, fusion, lora, method_named, qlora
from services.retraining.parity import Tolerance
from services.retraining.probing import answer_loss, answer_tokens, log_probabilities, prompts_of
from services.retraining.training_outcome import CannotTrain, Trained
from services.retraining.training_work import TrainingWork
from shared.adapters.contract import CONTRACT_FILE
from shared.cpu_dtype import DType
from tests.services.retraining.tiny_base_model import ANSWERS, contract, work

pytestmark = pytest.mark.usefixtures("one_thread")

LINEAR_LAYERS = 14
"""Seven in each of the tiny base model's two."""
GUESSING = 0.69
"""Nats of a coin's throw."""


@pytest.fixture(scope="module")
def parts(base: str, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two adapters of one contract, trained by LoRA from two seeds."""
    folders = []
    for seed in (1, 2):
        done = work(base, tmp_path_factory.mktemp(f"part-{seed}"), seed=seed)
        lora.train(done)
        (done.adapter_folder / CONTRACT_FILE).write_bytes(contract(base).written())
        folders.append(done.adapter_folder)
    return folders


def read_back(done: TrainingWork) -> float:
    """The loss on the validation rows of what lies in the folder, on the base model as it is served."""
    model = PeftModel.from_pretrained(
        base_model.weights(done.base_model, done.plan.device), str(done.adapter_folder)
    )
    tokenizer = base_model.describe(done.base_model).tokenizer
    answers = answer_tokens(done.examples, tokenizer)
    given = log_probabilities(
        model,
        prompts_of(done.validation, tokenizer),
        list(answers.values()),
        autocast=done.plan.device.dtype == "bfloat16",
    )
    return answer_loss(given, done.validation, list(answers))


def assert_learnt_and_left(trained: Trained, done: TrainingWork) -> None:
    assert trained.eval_loss is not None
    assert trained.eval_loss < GUESSING / 2
    assert read_back(done) == pytest.approx(trained.eval_loss, abs=0.02)
    config = json.loads((done.adapter_folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny"
    assert config["r"] == (trained.lora_r or done.plan.lora_r)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_quantised_training_is_judged_on_the_base_model_that_is_served(
    base: str, tmp_path: Path, dtype: DType
) -> None:
    """On a CPU with avx512_bf16 this fails where bitsandbytes may pack the weights when it evaluates."""
    done = work(base, tmp_path / "run", dtype=dtype, method="qlora")
    trained = qlora.train(done)
    assert_learnt_and_left(trained, done)
    (note,) = trained.notes
    assert "trained beside nf4 weights" in note
    assert "of 20 rows get the same answer" in note


@pytest.mark.parametrize(
    ("said", "quant_type", "is_double", "computes_in"),
    [
        ({}, "nf4", True, torch.float32),
        ({"bnb_4bit_use_double_quant": False}, "nf4", False, torch.float32),
        ({"bnb_4bit_quant_type": "fp4"}, "fp4", True, torch.float32),
        ({"bnb_4bit_compute_dtype": "bfloat16"}, "nf4", True, torch.bfloat16),
    ],
    ids=["as it is", "quantised once", "fp4", "computes in bfloat16"],
)
def test_a_quantised_training_computes_with_weights_of_four_bits(
    base: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: dict[str, Any],
    quant_type: str,
    is_double: bool,
    computes_in: torch.dtype,
) -> None:
    steps = layers_by_step(monkeypatch)
    done = work(base, tmp_path / "run", use_4bit=True, max_steps=2, warmup_steps=0, **said)
    method_named(done.plan.method)(done)
    assert len(steps) >= 2
    for layers in steps:
        assert len(layers) == LINEAR_LAYERS
        for layer in layers:
            assert isinstance(layer, Linear4bit)
            assert layer.weight.dtype == torch.uint8  # two weights to a byte
            assert layer.weight.numel() == layer.in_features * layer.out_features / 2
            state = layer.weight.quant_state
            assert state.quant_type == quant_type
            assert state.nested is is_double
            assert layer.compute_dtype == computes_in


def test_a_quantised_training_does_not_hold_on_to_the_file_of_the_whole_weights(
    base: str, tmp_path: Path
) -> None:
    """The embedding, which is not quantised, would lie in it as it was mapped, with all that is beside it."""
    mapped: list[bool] = []

    def look(step: int, loss: float) -> None:
        mapped.append(f"{base}/model.safetensors" in Path("/proc/self/maps").read_text())

    qlora.train(work(base, tmp_path / "run", method="qlora", max_steps=2, on_step=look))
    assert mapped == [False, False]


def test_a_training_without_use_4bit_computes_with_the_weights_as_they_are(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = layers_by_step(monkeypatch)
    done = work(base, tmp_path / "run", use_4bit=False, max_steps=2, warmup_steps=0)
    method_named(done.plan.method)(done)
    assert len(steps) >= 2
    for layers in steps:
        assert len(layers) == LINEAR_LAYERS
        for layer in layers:
            assert type(layer) is torch.nn.Linear
            assert layer.weight.dtype == torch.float32


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_an_adapter_begins_where_the_seed_says(base: str, tmp_path: Path, method: str) -> None:
    begun = []
    for name, seed in {"one": 3, "again": 3, "other": 4}.items():
        done = work(base, tmp_path / name, method=method, seed=seed, max_steps=1, learning_rate=1e-9)
        method_named(done.plan.method)(done)
        weights = load_file(done.adapter_folder / "adapter_model.safetensors")
        begun.append({name: weight for name, weight in weights.items() if ".lora_A." in name})
    one, again, other = begun
    assert one
    for name, weight in one.items():
        assert torch.equal(weight, again[name])
        assert not torch.equal(weight, other[name])


def layers_by_step(monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """The base model's linear layers at every loss that is computed, as the training computes with them."""
    steps: list[list[Any]] = []
    compute_loss = AnswerTrainer.compute_loss

    def watched(trainer: AnswerTrainer, model: Any, *given: Any, **named: Any) -> Any:
        steps.append([layer.base_layer for layer in model.modules() if hasattr(layer, "base_layer")])
        return compute_loss(trainer, model, *given, **named)

    monkeypatch.setattr(AnswerTrainer, "compute_loss", watched)
    return steps


@pytest.mark.parametrize("killed_at", [3, 9])
@pytest.mark.parametrize(("method", "learning_rate"), [("qlora", 1e-2), ("full", 1e-3)])
def test_a_training_that_was_killed_ends_with_the_same_weights(
    base: str, tmp_path: Path, method: str, learning_rate: float, killed_at: int
) -> None:
    """Before its first checkpoint and after its second; random numbers are drawn at every step."""

    def kill(step: int, loss: float) -> None:
        if step == killed_at:
            raise KeyboardInterrupt

    said: dict[str, Any] = {
        "method": method, "learning_rate": learning_rate, "epochs": 3.0, "checkpoint_every": 4,
        "lora_dropout": 0.1, "neftune_noise_alpha": 5.0,
    }  # fmt: skip
    whole, killed, again = (
        work(base, tmp_path / "whole", **said),
        work(base, tmp_path / "killed", on_step=kill, **said),
        work(base, tmp_path / "killed", **said),
    )
    train = method_named(whole.plan.method)
    trained = train(whole)
    with pytest.raises(KeyboardInterrupt):
        train(killed)
    went_on = train(again)
    one, other = (load_file(done.adapter_folder / "adapter_model.safetensors") for done in (whole, again))
    assert one.keys() == other.keys()
    assert all(torch.equal(weight, other[name]) for name, weight in one.items())
    assert replace(went_on, seconds=0) == replace(trained, seconds=0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_all_weights_are_served_as_an_adapter_that_answers_the_same(
    base: str, tmp_path: Path, dtype: DType
) -> None:
    done = work(base, tmp_path / "run", dtype=dtype, method="full", learning_rate=1e-3)
    trained = full.train(done)
    assert_learnt_and_left(trained, done)
    assert trained.lora_r is not None
    assert 4 <= trained.lora_r <= 64
    assert "linear layers were trained" in trained.notes[0]


def test_what_no_served_rank_can_carry_is_trained_but_not_deployable(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(full, "EXTRACTED", Tolerance(differing=0.0, mean_difference=1e-9))
    done = work(base, tmp_path / "run", highest_rank=2, method="full", lora_r=1, learning_rate=1e-3)
    with pytest.raises(full.NotDeployable, match="trained, but not deployable here") as refused:
        full.train(done)
    assert "rank 1: " in str(refused.value)
    assert "rank 2: " in str(refused.value)
    assert not done.adapter_folder.exists()


@pytest.mark.parametrize("how", ["linear", "ties", "dare_linear", "dare_ties", "svd"])
def test_adapters_of_one_contract_become_one(base: str, parts: list[Path], tmp_path: Path, how: str) -> None:
    done = fusing(base, parts, tmp_path, combination=how, density=0.9)
    trained = fusion.fuse(done)
    assert trained.eval_loss is not None
    assert trained.eval_loss < GUESSING * 1.5
    assert read_back(done) == pytest.approx(trained.eval_loss, abs=0.02)
    assert (trained.steps, trained.rows_seen, trained.lora_r) == (0, 0, 4)
    assert {path.name for path in done.adapter_folder.iterdir()} == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    }


def test_a_fused_adapter_is_the_same_when_it_is_made_again(
    base: str, parts: list[Path], tmp_path: Path
) -> None:
    made = []
    for name in ("one", "two"):
        done = fusing(base, parts, tmp_path / name, combination="dare_ties")
        fusion.fuse(done)
        made.append(load_file(done.adapter_folder / "adapter_model.safetensors"))
    assert all((made[0][name] == made[1][name]).all() for name in made[0])


def test_the_svd_of_one_adapter_twice_is_that_adapter_also_where_its_scale_is_rank_stabilised(
    base: str, tmp_path: Path
) -> None:
    single = work(base, tmp_path / "part", use_rslora=True)
    trained = lora.train(single)
    (single.adapter_folder / CONTRACT_FILE).write_bytes(contract(base).written())
    done = fusing(base, [single.adapter_folder] * 2, tmp_path, combination="svd")
    assert fusion.fuse(done).eval_loss == pytest.approx(trained.eval_loss, rel=0.02, abs=0.005)


def test_adapters_that_are_asked_differently_are_not_fused(
    base: str, parts: list[Path], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    swapped = dict(zip(ANSWERS, reversed(list(ANSWERS.values())), strict=True))
    labels = tuple(
        each.model_copy(update={"answer": swapped[each.label], "token": token})
        for each, token in zip(
            contract(base).labels, reversed(list(contract(base).token_of.values())), strict=True
        )
    )
    (other / CONTRACT_FILE).write_bytes(contract(base, prompt="Say: {text}", labels=labels).written())
    with pytest.raises(CannotTrain, match=r"they differ in the prompt .*tokens of the labels \(billing"):
        fusion.fuse(fusing(base, [parts[0], other], tmp_path))
    (other / CONTRACT_FILE).unlink()
    with pytest.raises(CannotTrain, match="no contract that can be read"):
        fusion.fuse(fusing(base, [parts[0], other], tmp_path))


def fusing(base: str, parts: list[Path], folder: Path, **said: Any) -> TrainingWork:
    folder.mkdir(exist_ok=True)
    names = tuple(f"part-{number}" for number in range(len(parts)))
    given = work(base, folder / "run", method="fusion", adapters=names, **said)
    return replace(given, adapters=parts, contract=contract(base))
