"""A champion that is lost for good is said so, and the next candidate is judged against what there is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import fsspec
import pytest

from shared.events import CandidateEvaluated, CandidateJudged, FrozenAdapter, ModelPromoted, Verdict
from shared.files import Files
from shared.model_server import ModelServerRefused
from shared.workload import Promotion
from tests.servers.adapters import freeze_trained
from tests.services.shadow_deployment.conftest import RunningService
from tests.services.shadow_deployment.example_events import WORKLOAD, evaluated, rollback, workload
from tests.services.shadow_deployment.test_shadow import (
    Parrot,
    candidate_beside_champion,
    files,
    log_prediction,
    models,
    shadow_of,
    work_until_idle,
)

__all__ = ["files", "models"]


async def lost(service: RunningService) -> list[str]:
    rows = await service.clickhouse.rows("SELECT * FROM lost_champions_v1")
    assert all(row["workload"] == WORKLOAD for row in rows)
    return [str(row["reason"]) for row in rows]


async def look(service: RunningService, models: Parrot, files: Files, *, minutes: float = 0) -> None:
    """A new process looks, and so long later it looks again."""
    shadow = shadow_of(service, models, files)
    await work_until_idle(shadow)
    service.now += timedelta(minutes=minutes)
    service.wake.set()
    await work_until_idle(shadow)


async def promoted(service: RunningService, files: Files, name: str, seed: int) -> FrozenAdapter:
    """One more champion, by the verdict of somebody else's test."""
    adapter = freeze_trained(files, name, seed, workload())
    history = await service.store.history(WORKLOAD)
    event = evaluated(name, history[-1].champion.name if history else None, adapter_files=adapter)
    await service.handlers.on_workload_added(workload())
    await service.store.keep_candidate(event)
    await service.judging._settle(event, Verdict.PROMOTE, "it is better", Promotion())
    return adapter


async def refuses(*_: object) -> None:
    raise ModelServerRefused("400: LoRA rank 4 is greater than max_lora_rank 1")


@pytest.mark.parametrize("fault", ["changed", "gone", "never taken"])
@pytest.mark.parametrize("is_first", [True, False])
async def test_a_lost_champion_is_said_with_what_to_do_until_it_is_there_again(
    service: RunningService,
    models: Parrot,
    files: Files,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    is_first: bool,
) -> None:
    before = None if is_first else await promoted(service, files, "before", 1)
    champion = await promoted(service, files, "now", 2)
    await look(service, models, files)
    assert await lost(service) == []

    models.adapters.clear()  # it was started anew
    stored = tmp_path / "files" / champion.uri
    kept = shutil.copytree(stored, tmp_path / "kept")
    with pytest.MonkeyPatch.context() as another_server:
        if fault == "changed":
            (stored / "README.md").write_text("Changed in the store.")
        elif fault == "gone":
            shutil.rmtree(stored)
        else:
            another_server.setattr(models, "load_adapter", refuses)
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        await look(service, models, files, minutes=9)
        assert bool(await lost(service)) == (fault == "changed"), "what may pass has ten minutes"
        await look(service, models, files, minutes=11)
        [reason] = await lost(service)
        assert reason.startswith(f"{champion.name} is champion and is lost: ")
        ways = [] if fault == "never taken" else ["restore its files"]
        ways += [f"roll back to {before.name} (tuneloop rollback {WORKLOAD})"] if before else []
        *others, last = [*ways, f"train it anew (tuneloop train {WORKLOAD})"]
        todo = f"{', '.join(others)}, or {last}" if others else last
        assert reason.endswith(f". {todo[0].upper()}{todo[1:]}.")
        assert f"{WORKLOAD}: {reason}" in caplog.text

    shutil.rmtree(stored, ignore_errors=True)
    shutil.copytree(kept, stored)
    await look(service, models, files)
    assert await lost(service) == []


@pytest.fixture
def object_store(tmp_path: Path) -> Iterator[Files]:
    yield Files("memory://files", tmp_path / "cache")
    fsspec.filesystem("memory").rm("/", recursive=True)


@pytest.mark.parametrize("fault", ["changed", "gone"])
async def test_a_champion_is_proved_by_what_the_object_store_has_and_not_by_the_copy_of_this_machine(
    service: RunningService, models: Parrot, object_store: Files, fault: str
) -> None:
    champion = await promoted(service, object_store, "now", 2)
    await look(service, models, object_store)
    stored, path = fsspec.core.url_to_fs(f"memory://files/{champion.uri}")
    card = stored.cat_file(f"{path}/README.md")
    if fault == "changed":
        stored.pipe_file(f"{path}/README.md", b"Changed in the store.")
    else:
        stored.rm(path, recursive=True)
    await look(service, models, object_store, minutes=11)
    [reason] = await lost(service)
    assert champion.name in models.adapters, "it answers on, until it is forgotten"
    assert reason.startswith(f"{champion.name} is champion and is lost: ")
    if fault == "changed":
        stored.pipe_file(f"{path}/README.md", card)
        await look(service, models, object_store)
        assert await lost(service) == []


async def test_a_loss_is_not_forgotten_by_a_restart_and_ends_with_the_rollback_to_a_good_one(
    service: RunningService, models: Parrot, files: Files, tmp_path: Path
) -> None:
    await promoted(service, files, "before", 1)
    champion = await promoted(service, files, "now", 2)
    shutil.rmtree(tmp_path / "files" / champion.uri)
    await look(service, models, files, minutes=11)
    other = await service.restarted()
    await look(other, models, files)
    assert len(await lost(other)) == 1
    await other.handlers.on_rollback_requested(rollback())
    assert await lost(other) == []
    await look(other, models, files)
    assert await lost(other) == []


async def test_nobody_is_sent_back_to_a_champion_that_is_lost_too(
    service: RunningService, models: Parrot, files: Files, tmp_path: Path
) -> None:
    for name, seed in (("before", 1), ("now", 2)):
        adapter = await promoted(service, files, name, seed)
        shutil.rmtree(tmp_path / "files" / adapter.uri)
    await look(service, models, files, minutes=11)
    [reason] = await lost(service)
    assert "Roll back" not in reason


async def test_after_a_hold_the_next_candidate_takes_a_lost_champions_place(
    service: RunningService, models: Parrot, files: Files, tmp_path: Path
) -> None:
    held = await candidate_beside_champion(service, files, Promotion(max_hours=2))
    await look(service, models, files)
    service.now += timedelta(hours=3)
    await look(service, models, files)
    assert service.consumed(CandidateJudged)[-1].verdict is Verdict.HOLD
    models.adapters.clear()
    shutil.rmtree(tmp_path / "files" / service.consumed(ModelPromoted)[-1].champion.uri)
    await look(service, models, files, minutes=11)
    assert len(await lost(service)) == 1
    third = freeze_trained(files, "third", 3, workload())
    await service.handlers.on_candidate_evaluated(evaluated("third", None, adapter_files=third, minutes=200))
    await look(service, models, files)
    assert service.consumed(ModelPromoted)[-1].champion == third
    assert await lost(service) == []
    assert held.candidate.name not in models.adapters


@pytest.mark.parametrize("answers_on", [True, False])
async def test_a_candidate_in_the_shadow_is_judged_alone_once_its_lost_champion_answers_nobody(
    service: RunningService, models: Parrot, files: Files, tmp_path: Path, answers_on: bool
) -> None:
    candidate: CandidateEvaluated = await candidate_beside_champion(service, files)
    await log_prediction(service, 1, str(candidate.champion))
    await look(service, models, files)
    champion = service.consumed(ModelPromoted)[-1].champion
    (tmp_path / "files" / champion.uri / "README.md").write_text("Changed in the store.")
    if not answers_on:
        models.adapters.discard(champion.name)
    await look(service, models, files, minutes=61)
    assert len(await lost(service)) == answers_on
    judged = service.consumed(CandidateJudged)[-1]
    if answers_on:
        assert judged.candidate == champion, "the shadow goes on"
    else:
        assert (judged.candidate, judged.verdict) == (candidate.candidate, Verdict.PROMOTE)
        assert judged.reason.startswith(f"{champion.name}, the champion, is refused: ")
        assert ". So it is judged alone. On held-out rows" in judged.reason


async def test_a_champion_that_was_restored_is_loaded_before_a_candidate_is_judged_without_it(
    service: RunningService, models: Parrot, files: Files, tmp_path: Path
) -> None:
    await candidate_beside_champion(service, files)
    shadow = shadow_of(service, models, files)
    await work_until_idle(shadow)
    champion = service.consumed(ModelPromoted)[-1].champion
    card = tmp_path / "files" / champion.uri / "README.md"
    right = card.read_bytes()
    card.write_text("Changed in the store.")
    service.now += timedelta(minutes=61)
    service.wake.set()
    await work_until_idle(shadow)
    assert len(await lost(service)) == 1

    card.write_bytes(right)
    models.adapters.clear()  # started anew, so that it takes what was restored
    await work_until_idle(shadow)
    assert service.consumed(CandidateJudged)[-1].candidate == champion, "the shadow goes on"
    assert champion.name in models.adapters
    assert await lost(service) == []
