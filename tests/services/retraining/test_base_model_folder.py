"""Training reads a base model from its folder in BASE_MODELS, or from a hub at one revision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from services.retraining.base_model_folder import FILES, base_model_folder
from shared.job_protocol import Refused

REVISION = "0123456789abcdef0123456789abcdef01234567"


def put(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize("name", ["mine", "org/name", f"org/name@{REVISION}", "My Model"])
def test_a_folder_of_base_models_goes_by_its_name(tmp_path: Path, name: str) -> None:
    folder = put(tmp_path / name)
    assert base_model_folder(str(tmp_path), name) == str(folder)


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "{root}/outside"])
def test_a_name_of_an_earlier_version_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    put(tmp_path / "outside")
    put(tmp_path / "models" / "a")
    with pytest.raises(Refused, match=r"is a path out of .*add the workload again"):
        base_model_folder(str(tmp_path / "models"), name.format(root=tmp_path))


@pytest.mark.parametrize("name", ["org/name", "gpt2", "org/name@main"])
def test_without_base_models_a_name_without_revision_is_refused_with_what_to_do(name: str) -> None:
    with pytest.raises(Refused, match=r"@REVISION with the 40 .*tuneloop workload add FILE\.toml"):
        base_model_folder("", name)


def test_a_hubs_model_is_fetched_at_its_revision_without_code_or_pickles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def fetch(hub_id: str, **more: Any) -> str:
        asked.append({"hub_id": hub_id, **more})
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    assert base_model_folder("", f"org/name@{REVISION}") == str(tmp_path)
    assert asked == [{"hub_id": "org/name", "revision": REVISION, "allow_patterns": list(FILES)}]
    assert not any(pattern.endswith((".py", ".bin", ".pt", "*")) for pattern in FILES)


def test_a_hub_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(Refused, match=f"org/name cannot be fetched at {REVISION}"):
        base_model_folder("", f"org/name@{REVISION}")  # tests run with HF_HUB_OFFLINE
