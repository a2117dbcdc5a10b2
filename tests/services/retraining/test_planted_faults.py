"""Faults planted into a whole training job, on a tiny base model: nothing is frozen, and the run says why."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from services.retraining.job import work
from services.retraining.job_messages import TRAIN, TrainResult, TrainTask
from shared.adapters.contract import CONTRACT_FILE, AdapterContract
from shared.adapters.signature import Verifier
from shared.events import DatasetCounts, DatasetPublished, FrozenAdapter, WorkloadAdded
from shared.files import Files
from shared.job_protocol import JobProgress, Order, Refused
from shared.workload import Training, Workload
from tests.servers.adapters import freeze_trained
from tests.servers.planted_adapters import PLANTED, planted
from tests.services.retraining.test_service import AT
from tests.services.retraining.tiny_base_model import ABOUT, ANSWERS, NAME, PROMPT, tiny_base_model
from tests.shared.adapters.keys import key_pair, sign


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files((tmp_path / "files").as_uri(), tmp_path / "cache")


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Our private key, and somebody else's. Ours has its public one where everything looks for it."""
    ours, public = key_pair(tmp_path, "ours")
    theirs, _ = key_pair(tmp_path / "elsewhere", "theirs")
    for name, value in {
        "ADAPTERS_PUBLIC_KEY": str(public),
        "RETRAINING_SIGNING_KEY": str(ours),
        "FILES_URI": (tmp_path / "files").as_uri(),
        "STATE_FOLDER": str(tmp_path / "state"),
        "BASE_MODELS": str(tmp_path / "base-models"),
        "TUNELOOP_DTYPE": "float32",
    }.items():
        monkeypatch.setenv(name, value)
    return ours, theirs


def rows(count: int, *, shuffled: bool = False) -> list[dict[str, str]]:
    """No two alike, but for one word that tells the label; shuffled, nothing tells it."""
    chance, names, words = (
        random.Random(1),
        list(ABOUT),
        [f"{a}{b}" for a in "bdfgklmnprst" for b in "aeiou"],
    )
    return [
        {
            "text": f"where is my {ABOUT[names[number % 2]]} {' '.join(chance.sample(words, 3))}",
            "label": chance.choice(names) if shuffled else names[number % 2],
        }
        for number in range(count)
    ]


def task_of(files: Files, given: Sequence[dict[str, str]], **training: Any) -> TrainTask:
    settings = {"learning_rate": 1e-2, "lora_r": 4, "batch_size": 8, "epochs": 4.0} | training
    definition = Workload(
        name="tickets",
        title="Tickets",
        prompt=PROMPT,
        labels=tuple(ANSWERS),
        base_model=NAME,
        training=Training.model_validate(settings),
    )
    frozen = files.freeze_rows("rows", given)
    return TrainTask(
        run_id="run-1",
        dataset=DatasetPublished(
            dataset_id="dataset-1",
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
        ),
        added=WorkloadAdded(revision=1, definition=definition, answers=ANSWERS, rows=frozen, added_at=AT),
    )


async def run(task: TrainTask, folder: Path, reported: list[JobProgress]) -> TrainResult:
    (folder / "job").mkdir()
    order = Order(job_id="run-1", kind=TRAIN, task=task.model_dump(mode="json"), folder=str(folder / "job"))
    return TrainResult.model_validate(await asyncio.to_thread(work, order, reported.append))


async def test_a_whole_training_leaves_a_signed_adapter_with_its_contract(
    files: Files, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    tiny_base_model(tmp_path / "base-models" / NAME)
    reported: list[JobProgress] = []
    result = await run(task_of(files, rows(120)), tmp_path, reported)
    folder = files.adapter_folder(result.trained.candidate)
    Verifier(tmp_path / "public").verify(folder)
    contract = AdapterContract.read((folder / CONTRACT_FILE).read_bytes())
    assert contract.label_names == tuple(ANSWERS)
    losses = {progress.done: progress.eval_loss for progress in reported if progress.eval_loss is not None}
    assert min(losses.values()) == result.trained.eval_loss
    assert len(losses) > 1, "the loss on validation rows is told at the end of each epoch"


def broken(model: Any) -> None:
    model.model.layers[1].mlp.down_proj.weight[0, 0] = float("nan")


async def test_a_number_that_is_none_in_the_base_model_ends_it(
    files: Files, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    tiny_base_model(tmp_path / "base-models" / NAME, broken)
    with pytest.raises(Refused, match="base model"):
        await run(task_of(files, rows(120)), tmp_path, [])
    assert not (tmp_path / "files" / "adapters").exists()


@pytest.mark.parametrize("count", [1000, 600])
async def test_shuffled_labels_teach_nothing_and_nothing_leaves(
    files: Files, keys: tuple[Path, Path], tmp_path: Path, count: int
) -> None:
    """A tenth of the rows tells, of two labels nearly always from a hundred of them on."""
    tiny_base_model(tmp_path / "base-models" / NAME)
    task = task_of(files, rows(count, shuffled=True), learning_rate=1e-3, epochs=1.0)
    with pytest.raises(Refused, match=r"must not leave.*guessing"):
        await run(task, tmp_path, [])
    assert not (tmp_path / "files" / "adapters").exists()


@pytest.mark.parametrize("count", [290, 200])
async def test_shuffled_labels_of_fewer_rows_do_not_leave_without_a_word(
    files: Files, keys: tuple[Path, Path], tmp_path: Path, count: int
) -> None:
    """So few validation rows of two labels tell some of these trainings from a weak model, and not others."""
    tiny_base_model(tmp_path / "base-models" / NAME)
    task = task_of(files, rows(count, shuffled=True), learning_rate=1e-3)
    try:
        said: Sequence[str] = (await run(task, tmp_path, [])).trained.warnings
    except Refused as refused:
        said = (str(refused),)
    assert any("guessing" in each or "Nothing says that it learnt" in each for each in said)


async def test_a_learning_rate_that_is_absurd_teaches_nothing_and_nothing_leaves(
    files: Files, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    tiny_base_model(tmp_path / "base-models" / NAME)
    task = task_of(files, rows(290), learning_rate=0.9)
    with pytest.raises(Refused, match=r"must not leave.*lower learning_rate"):
        await run(task, tmp_path, [])
    assert not (tmp_path / "files" / "adapters").exists()


async def test_weights_that_are_blown_up_end_the_training_before_its_last_step(
    files: Files, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    tiny_base_model(tmp_path / "base-models" / NAME)
    settings = {"learning_rate": 0.99, "lr_scheduler_type": "constant", "lora_alpha": 4096, "lora_r": 1}
    reported: list[JobProgress] = []
    with pytest.raises(Refused, match="that of a blind guess"):
        await run(task_of(files, rows(120), early_stopping_patience=0, **settings), tmp_path, reported)
    assert 0 < reported[-1].done < reported[-1].total
    assert not (tmp_path / "files" / "adapters").exists()


@pytest.mark.parametrize(("count", "validation_rows"), [(90, 0), (110, 11)])
async def test_labels_that_too_few_rows_tell_of_are_a_warning(
    files: Files, keys: tuple[Path, Path], tmp_path: Path, count: int, validation_rows: int
) -> None:
    tiny_base_model(tmp_path / "base-models" / NAME)
    result = await run(task_of(files, rows(count, shuffled=True), learning_rate=1e-3), tmp_path, [])
    assert result.trained.warnings == (
        f"Nothing says that it learnt: {validation_rows} validation rows are too few. Add rows, or raise "
        "training.validation_share.",
    )


@pytest.mark.parametrize("count", [120, 200, 290])
async def test_few_labels_that_are_right_are_no_warning(
    files: Files, keys: tuple[Path, Path], tmp_path: Path, count: int
) -> None:
    tiny_base_model(tmp_path / "base-models" / NAME)
    result = await run(task_of(files, rows(count)), tmp_path, [])
    assert result.trained.warnings == ()


@pytest.mark.parametrize("name", PLANTED)
async def test_nobody_else_s_weights_get_into_one_of_ours_by_fusion(
    files: Files, keys: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    tiny_base_model(tmp_path / "base-models" / NAME)
    plant, why = planted(*keys)[name]
    task = task_of(files, rows(120), method="fusion", adapters=("first", "second"))
    good = freeze_trained(files, "first", 1, task.added, before_freezing=partial(sign, private_key=keys[0]))
    bad = freeze_trained(files, "second", 2, task.added, before_freezing=plant)
    adapters: tuple[FrozenAdapter, ...] = (good, bad)
    with pytest.raises(Refused, match=why):
        await run(task.model_copy(update={"adapters": adapters}), tmp_path, [])
