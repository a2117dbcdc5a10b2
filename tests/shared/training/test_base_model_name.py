"""A base model has a folder's name, or a hub's with its revision; nothing else leads anywhere."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared.training.base_model_name import PinnedModel, pinned_model, stays_below, why_no_name
from shared.workload import Workload

REVISION = "0123456789abcdef0123456789abcdef01234567"
PINNED = f"HuggingFaceTB/SmolLM2-135M-Instruct@{REVISION}"
GIVEN = {"name": "tickets", "title": "Desk?", "prompt": "{text}\nDesk:", "labels": ["a", "b"]}
PATHS = [
    "/etc", "../secrets", "a/../../b", "a/b/c", "..", ".", ".hidden", "a\\b", "a b", "~/models", "C:/models",
    "file:///models", "https://evil.example/m", "org/name@main", f"org/name@{REVISION[:-1]}",
    f"name@{REVISION}",
    f"org/name@{REVISION.upper()}", "a\nb", "a\0b", "", f"../name@{REVISION}", f"org/..@{REVISION}",
]  # fmt: skip


@pytest.mark.parametrize("name", ["SmolLM2-135M-Instruct", "qwen2.5_7b", PINNED])
def test_a_folders_name_and_a_pinned_model_are_taken(name: str) -> None:
    assert why_no_name(name) is None
    assert Workload.written(GIVEN | {"base_model": name}).base_model == name


@pytest.mark.parametrize("name", PATHS)
def test_nothing_else_is(name: str) -> None:
    assert why_no_name(name)
    with pytest.raises(ValidationError, match="base_model"):
        Workload.written(GIVEN | {"base_model": name})
    with pytest.raises(ValidationError, match="base_model"):
        Workload.written(GIVEN | {"training": {"base_model": name}})


def test_a_hubs_model_without_a_revision_is_told_how_to_pin_it() -> None:
    said = why_no_name("HuggingFaceTB/SmolLM2-135M-Instruct")
    assert said is not None
    assert "Write HuggingFaceTB/SmolLM2-135M-Instruct@REVISION with the 40 hexadecimal digits" in said
    assert "or put the model into BASE_MODELS" in said
    assert "Write org/name@REVISION with" in str(why_no_name("org/name@main"))


@pytest.mark.parametrize("name", ["org/name", "/models/mine", "../mine", "My Model"])
def test_an_event_of_an_earlier_version_is_read_with_the_name_it_has(name: str) -> None:
    assert Workload.model_validate(GIVEN | {"base_model": name}).base_model == name


def test_a_pin_is_a_models_id_and_a_commit() -> None:
    assert pinned_model(PINNED) == PinnedModel("HuggingFaceTB/SmolLM2-135M-Instruct", REVISION)
    assert pinned_model("HuggingFaceTB/SmolLM2-135M-Instruct") is None
    assert pinned_model(f"{PINNED}\n") is None


def test_a_name_of_an_earlier_version_counts_only_below_its_folder() -> None:
    assert all(map(stays_below, ("mine", "org/name", PINNED, "My Model", "a/./b")))
    assert not any(map(stays_below, ("/etc", "../mine", "a/../../b", "", "..", "a\0b")))
