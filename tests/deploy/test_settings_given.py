"""Settings on the command line."""

from __future__ import annotations

import pytest

from deploy.expected_error import ExpectedError
from deploy.settings_given import settings_given


def test_values_are_as_toml_has_them_and_words_need_no_quotes() -> None:
    given = ["learning_rate=2e-4", "use_rslora=true", "lora_r = 8", "lr_scheduler_type=cosine"]
    assert settings_given("qlora", [*given, 'target_modules=["q_proj", "v_proj"]']) == {
        "method": "qlora",
        "learning_rate": 2e-4,
        "use_rslora": True,
        "lora_r": 8,
        "lr_scheduler_type": "cosine",
        "target_modules": ["q_proj", "v_proj"],
    }
    assert settings_given(None, []) == {}


@pytest.mark.parametrize("given", ["seed", "=3", "seed="], ids=["no value", "no name", "empty"])
def test_what_is_no_setting_says_how_one_is_written(given: str) -> None:
    with pytest.raises(ExpectedError, match="write NAME=VALUE"):
        settings_given(None, [given])


def test_a_setting_given_twice_is_said() -> None:
    with pytest.raises(ExpectedError, match="given twice"):
        settings_given("lora", ["method=full"])
