"""LoRA on a tiny base model: what is learnt, what is kept, and how it ends."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model
from safetensors.torch import load_file

from services.retraining.answer_trainer import AnswerTrainer, train_answers
from services.retraining.base_model import describe
from services.retraining.base_model import weights as base_weights
from services.retraining.methods.lora import lora_config, train
from services.retraining.training_outcome import BaseModelMissing, CannotTrain
from services.retraining.training_work import TrainingWork
from shared.cpu_dtype import DType
from tests.services.retraining.tiny_base_model import tiny_base_model, work


def weights(folder: Path) -> dict[str, torch.Tensor]:
    loaded: dict[str, torch.Tensor] = load_file(folder / "adapter" / "adapter_model.safetensors")
    return loaded


def built(given: TrainingWork) -> Any:
    return get_peft_model(base_weights(given.base_model, given.plan.device), lora_config(given.plan))


def same(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_it_learns_and_its_weights_are_float32(base: str, tmp_path: Path, dtype: DType) -> None:
    losses: list[float] = []
    trained = train(
        work(base, tmp_path, dtype=dtype, epochs=3.0, on_step=lambda step, loss: losses.append(loss))
    )
    assert trained.final_loss < losses[0] - 1
    assert trained.eval_loss is not None
    assert trained.eval_loss < losses[0] - 1
    assert (trained.steps, trained.rows_seen) == (15, 120)
    assert trained.min_grad_norm > 0
    assert {weight.dtype for weight in weights(tmp_path).values()} == {torch.float32}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_at_an_ordinary_learning_rate_the_weights_move_at_every_step(
    base: str, tmp_path: Path, dtype: DType
) -> None:
    """In bfloat16 most entries of an adapter would stay where they are: a step is below its precision."""
    seen: list[dict[str, torch.Tensor]] = []

    class Kept(AnswerTrainer):
        def training_step(self, *given: Any, **more: Any) -> Any:
            trained = {name: one for name, one in self.model.named_parameters() if one.requires_grad}
            seen.append({name: one.detach().clone() for name, one in trained.items()})
            return super().training_step(*given, **more)

    done = work(base, tmp_path, dtype=dtype, learning_rate=2e-4, max_steps=8, validation=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.retraining.answer_trainer.AnswerTrainer", Kept)
        train(done)
    before, after = seen[3], seen[4]
    moved = sum(int((after[name] != before[name]).sum()) for name in before)
    assert moved / sum(one.numel() for one in before.values()) > 0.99


@pytest.mark.parametrize("killed_at", [3, 9])
@pytest.mark.parametrize(
    "more", [{}, {"lora_dropout": 0.1, "neftune_noise_alpha": 5.0}], ids=["plain", "chance"]
)
def test_a_training_that_was_killed_ends_with_the_same_weights(
    base: str, tmp_path: Path, killed_at: int, more: dict[str, Any]
) -> None:
    def kill(step: int, loss: float) -> None:
        if step == killed_at:
            raise KeyboardInterrupt

    more = more | {"epochs": 3.0, "checkpoint_every": 4}
    whole = train(work(base, tmp_path / "whole", **more))
    with pytest.raises(KeyboardInterrupt):
        train(work(base, tmp_path / "killed", on_step=kill, **more))
    again = train(work(base, tmp_path / "killed", **more))
    assert same(tmp_path / "whole", tmp_path / "killed")
    assert (again.eval_loss, again.best_step, again.min_grad_norm) == (
        whole.eval_loss,
        whole.best_step,
        whole.min_grad_norm,
    )


def test_what_comes_after_a_training_has_the_memory_of_its_optimiser(base: str, tmp_path: Path) -> None:
    made: list[weakref.ref[AnswerTrainer]] = []

    class Watched(AnswerTrainer):
        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            made.append(weakref.ref(self))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.retraining.answer_trainer.AnswerTrainer", Watched)
        done = work(base, tmp_path, max_steps=2)
        model, _ = train_answers(lambda: built(done), describe(done.base_model).tokenizer, done)
    assert model is not None
    assert [trainer() for trainer in made] == [None]


def test_gradients_of_several_batches_are_those_of_one(base: str, tmp_path: Path) -> None:
    train(work(base, tmp_path / "one", epochs=3.0, batch_size=8))
    train(work(base, tmp_path / "several", epochs=3.0, batch_size=2, gradient_accumulation_steps=4))
    one, several = weights(tmp_path / "one"), weights(tmp_path / "several")
    for name, weight in one.items():
        torch.testing.assert_close(several[name], weight, atol=2e-3, rtol=2e-2)


def test_the_best_epoch_is_kept_and_worse_ones_end_it(base: str, tmp_path: Path) -> None:
    steps: list[int] = []
    done = work(
        base,
        tmp_path,
        learning_rate=0.5,
        epochs=20.0,
        early_stopping_patience=1,
        on_step=lambda step, loss: steps.append(step),
    )
    trained = train(done)
    assert trained.best_step < trained.steps == steps[-1] < done.plan.max_steps
    assert trained.steps - trained.best_step == done.plan.steps_per_epoch
    best = load_file(tmp_path / "best" / f"{trained.best_step}.safetensors")
    kept = sorted(weights(tmp_path).values(), key=lambda one: one.flatten().tolist())
    assert all(
        torch.equal(a, b)
        for a, b in zip(sorted(best.values(), key=lambda one: one.flatten().tolist()), kept, strict=True)
    )


def _nan(model: Any) -> None:
    model.model.layers[1].mlp.up_proj.weight[3, 5] = float("nan")


def _infinite(model: Any) -> None:
    model.model.embed_tokens.weight[:, 0] = float("inf")


@pytest.mark.parametrize("spoil", [_nan, _infinite])
def test_a_base_model_with_broken_weights_ends_it_with_the_reason(
    tmp_path: Path, spoil: Callable[[Any], None]
) -> None:
    broken = tiny_base_model(tmp_path / "base", spoil)
    with pytest.raises(CannotTrain, match="Check the base model's files"):
        train(work(broken, tmp_path / "job"))
    assert not (tmp_path / "job" / "adapter").exists()


def test_the_last_step_is_judged_though_its_epoch_is_not_over(base: str, tmp_path: Path) -> None:
    trained = train(work(base, tmp_path, epochs=1.5))
    assert trained.steps == trained.best_step == 8
    assert trained.rows_seen == 64


def test_a_training_that_ended_early_stays_ended_when_it_is_started_again(base: str, tmp_path: Path) -> None:
    def ended_early(on_step: Callable[[int, float], None] = lambda step, loss: None) -> TrainingWork:
        spoilt = work(
            base, tmp_path, learning_rate=0.5, epochs=20.0, early_stopping_patience=1, on_step=on_step
        )
        return replace(spoilt, checkpoint_every=spoilt.plan.steps_per_epoch)

    first, again = train(ended_early()), list[int]()
    kept = weights(tmp_path)
    (tmp_path / "adapter" / "adapter_model.safetensors").unlink()
    second = train(ended_early(lambda step, loss: again.append(step)))
    assert again == []
    assert (second.steps, second.best_step, second.eval_loss) == (
        first.steps,
        first.best_step,
        first.eval_loss,
    )
    assert all(torch.equal(weight, kept[name]) for name, weight in weights(tmp_path).items())


def test_a_base_model_that_is_not_there_is_named(base: str, tmp_path: Path) -> None:
    with pytest.raises(BaseModelMissing, match="nowhere"):
        train(replace(work(base, tmp_path), base_model="/nowhere"))


def test_the_loss_is_that_of_the_whole_model_at_the_answers(base: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    first: list[float] = []
    done = work(base, tmp_path, max_steps=1, validation=0, trained_on=8,
                on_step=lambda step, loss: first.append(loss))  # fmt: skip
    train(done)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base), AutoTokenizer.from_pretrained(base)
    total = 0.0
    for example in done.examples:
        prompt = tokenizer(example.prompt, return_tensors="pt")["input_ids"]
        token = tokenizer(example.answer, add_special_tokens=False)["input_ids"][0]
        total -= float(model(prompt).logits[0, -1].log_softmax(-1)[token].detach())
    assert first[0] == pytest.approx(total / 8, rel=1e-4)
