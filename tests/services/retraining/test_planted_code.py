"""Code that comes with a model is never run."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.retraining.base_model import describe, weights
from services.retraining.training_outcome import BaseModelMissing
from shared.training.device import Device
from tests.servers.model import ROOT, base_model_folder

PLANTED = """
import pathlib
pathlib.Path({ran!r}).touch()
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
class PlantedConfig(LlamaConfig):
    model_type = "planted"
class PlantedModel(LlamaForCausalLM):
    config_class = PlantedConfig
class PlantedTokenizer(PreTrainedTokenizerFast):
    pass
"""
AUTO = {
    "AutoConfig": "planted.PlantedConfig",
    "AutoModelForCausalLM": "planted.PlantedModel",
    "AutoTokenizer": ["planted.PlantedTokenizer", "planted.PlantedTokenizer"],
}


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    return tmp_path / "ran"


def planted(folder: Path, ran: Path, model_type: str) -> Path:
    """A base model whose folder brings its own classes."""
    folder.mkdir()
    whole = base_model_folder()
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        shutil.copy(whole / name, folder / name)
    (folder / "model.safetensors").symlink_to(whole / "model.safetensors")
    (folder / "planted.py").write_text(PLANTED.format(ran=str(ran)))
    for name, more in (("config.json", {"model_type": model_type}), ("tokenizer_config.json", {})):
        told = json.loads((folder / name).read_text()) | {"auto_map": AUTO} | more
        (folder / name).write_text(json.dumps(told))
    return folder


def test_a_model_of_an_unknown_kind_is_refused_and_its_code_not_run(tmp_path: Path, ran: Path) -> None:
    folder = planted(tmp_path / "model", ran, "planted")
    with pytest.raises(BaseModelMissing, match="a model's own code is never run"):
        describe(str(folder))
    with pytest.raises(BaseModelMissing):
        weights(str(folder), Device())
    assert not ran.exists()


def test_a_model_of_a_known_kind_is_read_by_the_librarys_own_classes(tmp_path: Path, ran: Path) -> None:
    describe(str(planted(tmp_path / "model", ran, "llama")))
    assert not ran.exists()


def test_the_planted_code_would_run_where_it_is_trusted(tmp_path: Path, ran: Path) -> None:
    from transformers import AutoConfig

    folder = planted(tmp_path / "model", ran, "planted")
    AutoConfig.from_pretrained(folder, trust_remote_code=True)
    assert ran.exists()


def test_every_way_of_loading_says_that_it_trusts_no_code() -> None:
    found = list(_loads())
    assert len(found) > 5
    assert [where for where, is_said in found if not is_said] == []


def _loads() -> Iterator[tuple[str, bool]]:
    """Every call of an Auto class's loader, and whether it says `trust_remote_code=False`, or a dict does."""
    for package in ("services", "shared", "deploy"):
        for file in (ROOT / package).rglob("*.py"):
            source = file.read_text("utf-8")
            if "trust_remote_code" in source:
                untrusting = source.count("trust_remote_code=False") + source.count(
                    '"trust_remote_code": False'
                )
                assert source.count("trust_remote_code") == untrusting, file
            for call in ast.walk(ast.parse(source)):
                match call:
                    case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr)) if name.startswith(
                        "Auto"
                    ) and attr.startswith("from_"):
                        said = {keyword.arg for keyword in call.keywords}  # None: a dict of them
                        is_said = "trust_remote_code" in said or (
                            None in said and "trust_remote_code" in source
                        )
                        yield f"{file.relative_to(ROOT)}:{call.lineno}", is_said
