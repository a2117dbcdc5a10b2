"""Only what is signed by this installation is evaluated; what can never be signed is not trained."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from services.retraining.job import work
from services.retraining.job_messages import EVALUATE, TRAIN, EvaluateTask, TrainTask
from shared.files import Files
from shared.job_protocol import JobProgress, Order, Refused
from tests.servers.adapters import freeze_trained
from tests.servers.planted_adapters import PLANTED, planted
from tests.services.retraining.test_service import dataset, trained, workload_added
from tests.shared.adapters.keys import key_pair, sign


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Our private key, whose public one is known here, and somebody else's."""
    ours, public = key_pair(tmp_path, "ours")
    theirs, _ = key_pair(tmp_path / "elsewhere", "theirs")
    for name, value in {
        "ADAPTERS_PUBLIC_KEY": str(public),
        "RETRAINING_SIGNING_KEY": str(ours),
        "FILES_URI": (tmp_path / "files").as_uri(),
        "STATE_FOLDER": str(tmp_path / "state"),
        "MODELS_URL": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    return ours, theirs


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files((tmp_path / "files").as_uri(), tmp_path / "cache")


async def refusal(order: Order) -> str:
    """Why the job says that there is no use in trying; it is not even asked whether the server is there."""
    reported: list[JobProgress] = []
    with pytest.raises(Refused) as refused:
        await asyncio.to_thread(work, order, reported.append)
    assert reported == []
    return str(refused.value)


@pytest.mark.parametrize("name", PLANTED)
async def test_nothing_is_asked_of_a_candidate_that_is_not_ours(
    files: Files, keys: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    plant, why = planted(*keys)[name]
    added = workload_added(files)
    champion = freeze_trained(files, "t-v1", 1, added, before_freezing=partial(sign, private_key=keys[0]))
    bad = freeze_trained(files, "t-v2", 2, added, before_freezing=plant)
    task = EvaluateTask(
        run_id="r2",
        dataset=dataset(files, 2),
        added=added,
        trained=trained(files, bad, 2),
        champion=champion,
        known=[],
    )
    order = Order(
        job_id="r2-evaluate", kind=EVALUATE, task=task.model_dump(mode="json"), folder=str(tmp_path / "job")
    )
    said = await refusal(order)
    assert said.startswith(bad.name)
    assert why in said


@pytest.mark.parametrize("missing", ["nowhere", "another's", "none"])
async def test_a_training_whose_adapter_nobody_would_load_does_not_begin(
    files: Files, keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """As in a Kubernetes Job that was not given the secret."""
    value = {"nowhere": str(tmp_path / "nowhere.pem"), "another's": str(keys[1]), "none": ""}[missing]
    monkeypatch.setenv("RETRAINING_SIGNING_KEY", value)
    task = TrainTask(run_id="r1", dataset=dataset(files, 1), added=workload_added(files))
    order = Order(job_id="r1", kind=TRAIN, task=task.model_dump(mode="json"), folder=str(tmp_path / "job"))
    assert "RETRAINING_SIGNING_KEY" in await refusal(order)
