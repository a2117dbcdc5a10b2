"""A dataset becomes a candidate by every method, on a tiny base model, and none where it must not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.retraining import room
from services.retraining.candidate_training import train_candidate
from services.retraining.job_messages import TrainTask
from services.retraining.settings import Settings
from shared.adapters.contract import CONTRACT_FILE, AdapterContract
from shared.addresses import Addresses
from shared.events import CandidateTrained, DatasetCounts, DatasetPublished, FrozenAdapter, WorkloadAdded
from shared.files import Files
from shared.job_protocol import Refused
from shared.workload import Training, Workload
from tests.services.retraining.tiny_base_model import ANSWERS, NAME, PROMPT, rows, tiny_base_model

pytestmark = pytest.mark.usefixtures("one_thread")

AT = datetime(2026, 11, 26, 10, tzinfo=UTC)
SAID: dict[str, Any] = {
    "batch_size": 8,
    "epochs": 8.0,
    "lora_r": 4,
    "lora_alpha": 12,
    "validation_share": 0.3,
}


@pytest.fixture(scope="module")
def base_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_base_model(folder / NAME)
    return folder


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files((tmp_path / "files").as_uri(), tmp_path / "cache")


def candidate(
    base_models: Path,
    files: Files,
    folder: Path,
    parts: tuple[FrozenAdapter, ...] = (),
    prompt: str = PROMPT,
    **said: Any,
) -> CandidateTrained:
    folder.mkdir()
    frozen = files.freeze_rows("rows", [row | {"prediction_id": None} for row in rows(60)])
    workload = Workload(
        name="tickets",
        title="Tickets",
        base_model=NAME,
        prompt=prompt,
        labels=tuple(ANSWERS),
        training=Training(**(SAID | said)),
    )
    added = WorkloadAdded(revision=1, definition=workload, answers=ANSWERS, rows=frozen, added_at=AT)
    dataset = DatasetPublished(
        dataset_id="d1",
        workload="tickets",
        version=1,
        cycle_id=None,
        cutoff=AT,
        train=frozen,
        golden=frozen,
        held_out=frozen,
        manifest=frozen,
        counts=DatasetCounts(),
        published_at=AT,
    )
    task = TrainTask(run_id="r1", dataset=dataset, added=added, adapters=parts)
    addresses = Addresses(base_models=str(base_models))
    return train_candidate(task, folder, files, addresses, Settings(), lambda progress: None).trained


@pytest.mark.parametrize(
    ("method", "rate", "noted"),
    [
        ("lora", 1e-2, ""),
        ("qlora", 1e-2, "it was trained beside nf4 weights"),
        ("full", 1e-3, "linear layers were trained; this adapter of rank"),
    ],
)
def test_a_candidate_carries_its_method_and_what_there_is_to_say_of_it(
    base_models: Path, files: Files, tmp_path: Path, method: str, rate: float, noted: str
) -> None:
    trained = candidate(base_models, files, tmp_path / "run", method=method, learning_rate=rate)
    assert trained.method == method
    assert trained.final_loss < 0.5
    folder = files.adapter_folder(trained.candidate)
    contract = AdapterContract.read((folder / CONTRACT_FILE).read_bytes())
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (contract.method, contract.lora_r) == (method, config["r"])
    assert_scaled_as_shown(trained, config)
    assert contract.training == (trained.plan or {}) | {
        "steps": trained.steps,
        "best_step": contract.training["best_step"],
        "rows_seen": trained.rows_seen,
    }
    card = (folder / "README.md").read_text()
    assert noted in card
    assert trained.peak_memory_gb is not None
    assert trained.estimated_memory_gb is not None
    assert trained.peak_memory_gb > 0.1
    said = f"{trained.peak_memory_gb:.2f} GB at most, {trained.estimated_memory_gb:.2f} estimated before"
    assert said in card


def assert_scaled_as_shown(trained: CandidateTrained, config: dict[str, Any]) -> None:
    shown = trained.plan or {}
    scaling = ("lora_alpha", "use_rslora")
    assert [shown[name] for name in scaling] == [config[name] for name in scaling]


def test_a_fusion_is_of_adapters_that_are_asked_as_the_definition_says(
    base_models: Path, files: Files, tmp_path: Path
) -> None:
    parts = tuple(
        candidate(base_models, files, tmp_path / f"part-{seed}", learning_rate=1e-2, seed=seed).candidate
        for seed in (1, 2)
    )
    trained = candidate(
        base_models, files, tmp_path / "run", parts, method="fusion", lora_r=2, use_rslora=True
    )
    assert (trained.steps, trained.rows_seen, trained.warnings) == (0, 0, ())
    assert trained.plan is not None
    assert trained.plan["adapters"] == [part.name for part in parts]
    assert trained.plan["lora_r"] == SAID["lora_r"], "its rank is that of its parts"
    folder = files.adapter_folder(trained.candidate)
    assert_scaled_as_shown(trained, json.loads((folder / "adapter_config.json").read_text()))
    card = (folder / "README.md").read_text()
    assert f"fused by ties out of {parts[0].name}, {parts[1].name}" in card
    with pytest.raises(Refused, match=r"they differ in the prompt"):
        candidate(base_models, files, tmp_path / "other", parts, prompt="{text}\nTheme:", method="fusion")
    with pytest.raises(Refused, match="two adapters or more of this workload, and it has 1"):
        candidate(
            base_models,
            files,
            tmp_path / "missing",
            parts[:1],
            method="fusion",
            adapters=(parts[0].name, "gone"),
        )


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("missing", ["q_porj", "lm_head", "embed_tokens", "norm"])
def test_target_modules_that_are_no_linear_layers_are_refused_by_name(
    base_models: Path, files: Files, tmp_path: Path, method: str, missing: str
) -> None:
    with pytest.raises(Refused, match=rf"target_modules names {missing}, .* k_proj, o_proj, q_proj"):
        candidate(base_models, files, tmp_path / "run", method=method, target_modules=("v_proj", missing))


def test_a_training_that_does_not_fit_is_refused_before_its_first_step(
    base_models: Path, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "free_host_memory", lambda: 0.3e9)
    with pytest.raises(Refused, match=r"needs about .* GB of memory .* and 0\.3 GB are free"):
        candidate(base_models, files, tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoints").exists()
