"""Told to a real MLflow server: runs with their settings and metrics, versions, and the two aliases."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from prometheus_client import CollectorRegistry

from services.retraining.tracking import tracking_for
from services.retraining.tracking.notes import notes
from shared.events import Event
from tests.servers.mlflow import mlflow_server
from tests.servers.model import free_port
from tests.services.retraining.tracking.run_events import (
    AT,
    adapter,
    evaluated,
    failed,
    progressed,
    promoted,
    rolled_back,
    trained,
)
from tests.services.retraining.tracking.test_delivery import running, told, until


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


async def tell(url: str, monkeypatch: pytest.MonkeyPatch, *events: Event) -> None:
    """By a tracking of its own, as after a restart; returns when all of it is told."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    registry = CollectorRegistry()
    tracking = tracking_for("s3://bucket/files", registry)
    expected = sum(len(list(notes(event))) for event in events)
    async with running(tracking):
        for event in events:
            tracking.note(event)
        await until(lambda: told(registry, "told") == expected, seconds=120)


def champion_and_challenger(client: MlflowClient) -> tuple[str | None, str | None]:
    """The adapters that MLflow says these aliases are."""
    aliases = client.get_registered_model("tickets").aliases
    versions = {version.version: version for version in client.search_model_versions("name = 'tickets'")}
    champion, challenger = (
        versions[aliases[name]].tags["tuneloop.adapter"] if name in aliases else None
        for name in ("champion", "challenger")
    )
    return champion, challenger


async def test_a_run_has_its_settings_its_losses_by_step_and_its_scorecard(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = MlflowClient(url)
    happened = [
        progressed(1, 1, 0.75),
        progressed(1, 2, 0.5),
        progressed(1, 2, None).model_copy(update={"eval_loss": 0.625}),
        trained(1),
        evaluated(1),
    ]
    await tell(url, monkeypatch, *happened)
    await tell(url, monkeypatch, *happened)  # as after a restart: nothing is there twice
    experiment = client.get_experiment_by_name("tuneloop/tickets")
    assert experiment is not None
    [run] = client.search_runs([experiment.experiment_id], "tags.`tuneloop.run_id` = 'run-1'")
    assert run.info.status == "FINISHED"
    assert run.info.start_time == int(AT.timestamp() * 1000) + 1000
    assert run.data.params["lora_r"] == "16"
    assert run.data.params["device.kind"] == "cpu"
    assert run.data.metrics["held_out/accuracy"] == 0.8
    assert run.data.metrics["best_eval_loss"] == 0.5
    [eval_loss] = client.get_metric_history(run.info.run_id, "eval_loss")
    assert (eval_loss.step, eval_loss.value) == (2, 0.625)
    losses = client.get_metric_history(run.info.run_id, "train_loss")
    assert [(loss.step, loss.value) for loss in losses] == [(1, 0.75), (2, 0.5)]
    [version] = client.search_model_versions("name = 'tickets'")
    assert version.run_id == run.info.run_id
    assert version.source == f"s3://bucket/files/{adapter(1).uri}"
    assert version.tags["tuneloop.digest"] == adapter(1).digest


async def test_a_failed_run_says_why(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await tell(url, monkeypatch, progressed(9, 1, 0.75), failed(9, "the loss is not a number"))
    client = MlflowClient(url)
    experiment = client.get_experiment_by_name("tuneloop/tickets")
    assert experiment is not None
    [run] = client.search_runs([experiment.experiment_id], "tags.`tuneloop.run_id` = 'run-9'")
    assert run.info.status == "FAILED"
    assert run.data.tags["tuneloop.reason"] == "the loss is not a number"


async def test_the_aliases_follow_promotions_and_rollbacks(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = MlflowClient(url)
    names = [adapter(number).name for number in range(5)]
    await tell(url, monkeypatch, evaluated(2))
    assert champion_and_challenger(client) == (None, names[2])
    await tell(url, monkeypatch, promoted(2, 1))
    assert champion_and_challenger(client) == (names[2], None)
    await tell(url, monkeypatch, evaluated(3, champion=names[2]))
    assert champion_and_challenger(client) == (names[2], names[3])
    await tell(url, monkeypatch, promoted(3, 2))
    assert champion_and_challenger(client) == (names[3], None)
    await tell(url, monkeypatch, promoted(3, 2), rolled_back(2, 3))
    assert champion_and_challenger(client) == (names[2], None)
    await tell(url, monkeypatch, rolled_back(4, 4))  # one that was trained before MLflow was named
    assert champion_and_challenger(client) == (names[4], None)


async def test_a_server_that_was_away_is_told_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    registry = CollectorRegistry()
    tracking = tracking_for((tmp_path / "files").as_uri(), registry)
    async with running(tracking):
        tracking.note(evaluated(1))
        await asyncio.sleep(1)
        assert told(registry, "told") == 0
        with mlflow_server(tmp_path, port):
            await until(lambda: told(registry, "told") == 2, seconds=120)
            [version] = MlflowClient(url).search_model_versions("name = 'tickets'")
            assert version.source == f"tuneloop:/{adapter(1).uri}"
