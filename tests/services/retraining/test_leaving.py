"""Nothing broken leaves the training: each fault is planted into an adapter that was whole."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraModel
from safetensors.torch import load_file, save_file

from services.retraining import base_model
from services.retraining.leaving import Leaving, NotToLeave, refuse_to_let_go
from services.retraining.methods import lora
from services.retraining.training_outcome import Trained
from services.retraining.training_rows import probes
from shared.adapters.contract import CONTRACT_FILE, AdapterContract
from tests.services.retraining.tiny_base_model import contract, examples, rows, tiny_base_model, work

pytestmark = pytest.mark.usefixtures("one_thread")

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Trained]:
    """A base model, and the folder of an adapter that is whole."""
    base = tiny_base_model(tmp_path_factory.mktemp("base"))
    done = work(base, tmp_path_factory.mktemp("run"))
    told = lora.train(done)
    (done.adapter_folder / CONTRACT_FILE).write_bytes(contract(base).written())
    return base, done.adapter_folder, told


@pytest.fixture
def leaving(trained: tuple[str, Path, Trained], tmp_path: Path) -> Leaving:
    base, folder, told = trained
    copy = tmp_path / "adapter"
    shutil.copytree(folder, copy)
    validation, others = rows(60)[40:], rows(40)
    return Leaving(
        folder=copy,
        base_model=base,
        device=work(base, tmp_path / "run").plan.device,
        trained=told,
        validation=probes(validation, examples(validation)),
        others=probes(others, examples(others)),
        highest_rank=64,
    )


def says(leaving: Leaving) -> str:
    with pytest.raises(NotToLeave) as refused:
        refuse_to_let_go(leaving)
    return str(refused.value)


def change_weights(leaving: Leaving, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    weights = load_file(leaving.folder / WEIGHTS)
    change(weights)
    save_file(weights, leaving.folder / WEIGHTS, {"format": "pt"})


def change_contract(leaving: Leaving, **said: object) -> None:
    file = leaving.folder / CONTRACT_FILE
    given = AdapterContract.read(file.read_bytes())
    file.write_bytes(given.model_copy(update=said).written())


def test_a_whole_adapter_leaves_also_without_validation_rows(leaving: Leaving) -> None:
    refuse_to_let_go(leaving)
    refuse_to_let_go(replace(leaving, validation=(), trained=replace(leaving.trained, eval_loss=None)))


def test_a_base_model_with_a_number_that_is_none_is_said(leaving: Leaving, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(leaving.base_model, base)
    weights = load_file(base / "model.safetensors")
    weights["model.layers.1.mlp.down_proj.weight"][0, 0] = float("nan")
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    assert "Look whether the base model's weights are whole" in says(replace(leaving, base_model=str(base)))


def test_an_adapter_with_a_number_that_is_none_does_not_leave(leaving: Leaving) -> None:
    def plant(weights: dict[str, torch.Tensor]) -> None:
        next(iter(weights.values()))[0, 0] = float("inf")

    change_weights(leaving, plant)
    assert "1 of its 28 weights hold what is no number" in says(leaving)


def test_an_adapter_that_never_moved_does_not_leave(leaving: Leaving) -> None:
    def plant(weights: dict[str, torch.Tensor]) -> None:
        for name, weight in weights.items():
            if ".lora_B." in name:
                weight.zero_()

    change_weights(leaving, plant)
    assert "it is the base model" in says(leaving)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_a_reason(leaving: Leaving, loss: float) -> None:
    assert f"its loss is {loss}" in says(replace(leaving, trained=replace(leaving.trained, final_loss=loss)))


def test_another_rank_than_the_weights_have_is_found(leaving: Leaving) -> None:
    config = json.loads((leaving.folder / "adapter_config.json").read_text())
    (leaving.folder / "adapter_config.json").write_text(json.dumps(config | {"r": 8}))
    found = says(leaving)
    assert "its rank is 8, and its contract says 4" in found
    assert "its weights are of rank [4]" in found


def test_a_rank_above_the_servers_is_refused_with_the_setting(leaving: Leaving) -> None:
    found = says(replace(leaving, highest_rank=2))
    assert "its rank 4 is above 2" in found
    assert "RETRAINING_LORA_RANK" in found


def test_weights_in_anything_but_safetensors_are_refused(leaving: Leaving) -> None:
    (leaving.folder / "adapter_model.bin").write_bytes(b"a pickle")
    assert "holds adapter_model.bin" in says(leaving)


def test_labels_that_were_shuffled_after_training_are_found(leaving: Leaving) -> None:
    one, two = AdapterContract.read((leaving.folder / CONTRACT_FILE).read_bytes()).labels
    swapped = (
        one.model_copy(update={"answer": two.answer, "token": two.token}),
        two.model_copy(update={"answer": one.answer, "token": one.token}),
    )
    change_contract(leaving, labels=swapped)
    assert "was trained with the answer ' A'" in says(leaving) or "was trained with the answer ' B'" in says(
        leaving
    )


def test_labels_that_were_shuffled_before_training_have_taught_nothing(
    tmp_path: Path, leaving: Leaving
) -> None:
    """What is learnt by heart of such rows is no better than guessing on the rows that were not learnt."""
    shuffled = rows(120)
    labels = [row["label"] for row in shuffled]
    random.Random(3).shuffle(labels)
    for row, label in zip(shuffled, labels, strict=True):
        row["label"] = label
    done = replace(
        work(leaving.base_model, tmp_path / "shuffled", early_stopping_patience=0),
        examples=examples(shuffled[:80]),
        validation=examples(shuffled[80:]),
    )
    told = lora.train(done)
    (done.adapter_folder / CONTRACT_FILE).write_bytes(contract(leaving.base_model).written())
    asked = replace(
        leaving,
        folder=done.adapter_folder,
        trained=told,
        validation=probes(shuffled[80:], done.validation),
        others=probes(shuffled[:80], done.examples),
    )
    assert "it has learnt nothing" in says(asked)


def test_a_token_that_is_another_to_the_tokenizer_is_found(leaving: Leaving) -> None:
    one, two = AdapterContract.read((leaving.folder / CONTRACT_FILE).read_bytes()).labels
    change_contract(leaving, labels=(one.model_copy(update={"token": 5}), two))
    assert "and 5 in the contract" in says(leaving)


@pytest.mark.parametrize("prompt", ["{text}\nTheme:", "{text} \nTopic:", "Say: {text}\nTopic:"])
def test_a_template_that_differs_at_serving_is_found(leaving: Leaving, prompt: str) -> None:
    change_contract(leaving, prompt=prompt)
    assert "trained with another prompt than its contract asks by" in says(leaving)


def test_weights_that_are_not_those_of_training_are_found(leaving: Leaving) -> None:
    def plant(weights: dict[str, torch.Tensor]) -> None:
        for name, weight in weights.items():
            if ".lora_B." in name:
                weight *= 0.05

    change_weights(leaving, plant)
    assert "read back it has a loss of" in says(leaving)


@pytest.mark.parametrize("is_validated", [True, False])
def test_weights_that_answer_otherwise_when_they_are_added_in_are_found(
    leaving: Leaving, monkeypatch: pytest.MonkeyPatch, is_validated: bool
) -> None:
    """The fault is that of a merge which forgets the adapter: the base model alone answers."""
    monkeypatch.setattr(LoraModel, "merge_and_unload", LoraModel.unload)
    if not is_validated:
        leaving = replace(leaving, validation=(), trained=replace(leaving.trained, eval_loss=None))
    found = says(leaving)
    assert "added into the base model's weights it answers otherwise than beside them" in found
    assert "It may be 0% other answers, 0.01 nats in the mean" in found


def test_a_prompt_that_is_other_tokens_to_a_server_is_found(
    leaving: Leaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault is a tokenizer that begins every text with a token when it is called, and not at serving."""
    described = base_model.describe(leaving.base_model)
    end = described.tokenizer.eos_token_id

    class BeginsEveryText:
        backend_tokenizer = described.tokenizer.backend_tokenizer

        def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
            given = described.tokenizer(text, add_special_tokens=add_special_tokens)["input_ids"]
            return {"input_ids": [end, *given] if add_special_tokens else given}

    begun = replace(described, tokenizer=BeginsEveryText())
    monkeypatch.setattr(base_model, "describe", lambda name: begun)
    assert "a server reads other tokens of the same prompt than training did" in says(leaving)
