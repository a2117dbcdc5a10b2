from __future__ import annotations

from typing import Any

import pytest

from shared.training.defaults import learning_rate, plan
from shared.training.device import Device
from shared.training.plan import TrainingPlan
from shared.training.section import Training


def planned(rows: int = 1000, size: int = 135_000_000, tokens: int = 40, **said: Any) -> TrainingPlan:
    return plan(Training(**said), rows, 10, tokens, size, Device())


def test_every_row_of_a_large_dataset_is_seen() -> None:
    large = planned(rows=50_000)
    assert large.max_steps * large.batch_size >= large.train_rows * large.epochs
    assert large.validation_rows <= 200


def test_only_the_owner_limits_the_steps() -> None:
    assert planned(rows=50_000, max_steps=400).max_steps == 400


def test_few_rows_are_read_until_they_can_have_taught_something() -> None:
    assert 150 <= planned(rows=480).max_steps < 155
    few = planned(rows=60)
    assert few.epochs == 8
    assert few.max_steps == 8 * 4
    assert few.validation_rows == few.early_stopping_patience == 0


def test_many_labels_of_few_rows_are_read_more_often() -> None:
    def epochs(rows: int, labels: int) -> float:
        return plan(Training(), rows, labels, 40, 135_000_000, Device()).epochs

    assert epochs(1540, 77) == pytest.approx(100 * 77 / 1386, abs=0.01)
    assert epochs(10_000, 77) == pytest.approx(1.53)
    assert epochs(1_000_000, 77) == 1
    assert epochs(1540, 100) == pytest.approx(100 * 100 / 1386, abs=0.01)
    assert epochs(150, 150) == 8


@pytest.mark.parametrize(
    ("size", "rate"),
    [(135_000_000, 2e-3), (10_000_000, 2e-3), (7_000_000_000, 2e-4), (1_000_000_000, 6.2e-4)],
)
def test_the_learning_rate_falls_with_the_base_model(size: int, rate: float) -> None:
    assert learning_rate(size, "lora") == pytest.approx(rate)
    assert learning_rate(size, "full") == pytest.approx(rate / 20, rel=0.02)


@pytest.mark.parametrize("tokens", [10, 300, 1000, 100_000])
def test_a_step_is_sixteen_rows_however_many_fit_at_a_time(tokens: int) -> None:
    long = planned(tokens=tokens)
    assert long.batch_size * long.gradient_accumulation_steps == 16
    assert long.batch_size * min(tokens, long.max_length) <= 4096


def test_what_the_owner_says_is_what_runs() -> None:
    said: dict[str, Any] = {
        "method": "qlora", "lora_r": 8, "lora_alpha": 8, "lora_dropout": 0.05, "use_rslora": True,
        "target_modules": ("q_proj", "v_proj"), "epochs": 1.5, "max_steps": 7, "batch_size": 4,
        "gradient_accumulation_steps": 2, "learning_rate": 1e-4, "lr_scheduler_type": "cosine",
        "warmup_steps": 2, "weight_decay": 0.01, "max_length": 64, "bnb_4bit_quant_type": "fp4",
        "bnb_4bit_use_double_quant": False, "bnb_4bit_compute_dtype": "float16",
        "gradient_checkpointing": True, "neftune_noise_alpha": 5.0, "early_stopping_patience": 3, "seed": 0,
    }  # fmt: skip
    ran = planned(**said).model_dump()
    assert {name: ran[name] for name in said} == said
    assert ran["use_4bit"] is True


def test_the_share_kept_for_validation_is_the_owners_too() -> None:
    assert planned(rows=60, validation_share=0.25).validation_rows == 15
    assert not planned(validation_share=0).is_validated
    assert planned(rows=1, validation_share=0.5).train_rows == 1


def test_a_longer_row_than_the_base_model_reads_is_never_planned() -> None:
    assert plan(Training(max_length=4096), 10, 2, 40, 1, Device(), context=512).max_length == 512


def test_a_fusion_takes_no_step_and_counts_its_adapters_alike() -> None:
    names = ("a-v1", "a-v2")
    ties = planned(method="fusion", adapters=names)
    assert (ties.max_steps, ties.combination, ties.density) == (0, "ties", 0.5)
    assert ties.weights == (1.0, 1.0)
    linear = planned(method="fusion", adapters=names, combination="linear")
    assert (linear.weights, linear.density) == ((0.5, 0.5), None)
    assert planned(method="fusion", adapters=names, weights=(0.9, 0.1)).weights == (0.9, 0.1)
    assert planned().adapters == ()


def test_a_fusion_is_planned_before_its_adapters_are_named() -> None:
    assert planned(method="fusion", combination="linear").weights == ()
