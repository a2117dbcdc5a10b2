from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from shared.training.section import FILLED_IN_BEFORE, Training
from shared.workload import Workload

GIVEN = {"name": "t", "title": "T", "prompt": "{text}:", "labels": ["a", "b"]}


def test_nothing_need_be_said() -> None:
    assert set(Training().model_dump().values()) == {None}


@pytest.mark.parametrize(
    ("old", "name", "value"), [("rank", "lora_r", 8), ("max_seq_length", "max_length", 256)], ids=str
)
def test_an_old_name_is_read_for_ever(old: str, name: str, value: int) -> None:
    assert Training.model_validate({old: value}) == Training(**{name: value})
    with pytest.raises(ValidationError, match="one setting"):
        Training.model_validate({old: value, name: value})


EXPLICIT = Training(
    method="lora", lora_r=16, learning_rate=2e-3, batch_size=16, epochs=2.0, max_steps=400, seed=1
)


def test_what_a_person_says_stays_though_all_of_it_once_was_the_default() -> None:
    assert Workload.written(GIVEN | {"training": FILLED_IN_BEFORE}).training == EXPLICIT
    assert Training.model_validate({"rank": 16, "max_steps": 400}) == Training(lora_r=16, max_steps=400)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"use_dora": True}, "vLLM refuses to serve"),
        ({"warmup_steps": 3, "warmup_ratio": 0.1}, "two ways to say one thing"),
        ({"use_4bit": True, "method": "lora"}, 'the method "qlora"'),
        ({"use_4bit": False, "method": "qlora"}, "is with use_4bit"),
        ({"method": "dora"}, "method"),
        ({"lora_dropout": 1.0}, "lora_dropout"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_with_the_reason(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Training.model_validate(given)


def test_a_setting_that_is_mistyped_is_an_error_in_a_file() -> None:
    with pytest.raises(ValidationError, match="learning_rat"):
        Workload.written(GIVEN | {"training": {"learning_rat": 1e-4}})


def test_the_base_model_may_stand_among_the_training() -> None:
    written = Workload.written(GIVEN | {"training": {"base_model": "other", "lora_r": 8}})
    assert (written.base_model, written.training) == ("other", Training(lora_r=8))
    with pytest.raises(ValidationError, match="one setting"):
        Workload.written(GIVEN | {"base_model": "one", "training": {"base_model": "other"}})


def test_fusion_names_its_adapters_and_nobody_else_does() -> None:
    fused = Training(method="fusion", adapters=("a-v1", "a-v2"), weights=(0.7, 0.3))
    assert fused.adapters == ("a-v1", "a-v2")
    with pytest.raises(ValidationError, match='adapters goes with method = "fusion"'):
        Training(adapters=("a-v1", "a-v2"))
    with pytest.raises(ValidationError, match='density goes with method = "fusion"'):
        Training(method="lora", density=0.5)
    with pytest.raises(ValidationError, match="a number for each of adapters"):
        Training(method="fusion", adapters=("a-v1", "a-v2"), weights=(1.0,))
