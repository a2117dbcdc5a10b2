"""Adapters of versions 0.1 and 0.2 get their contract at start, and the alias moves to them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from services.shadow_deployment.app import sealing
from services.shadow_deployment.contract_migration import ContractMigration
from services.shadow_deployment.trained_revision import trained_revision
from shared.adapters.contract import AdapterContract
from shared.adapters.loading import AdapterLoading
from shared.adapters.signature import CannotUseKeys, Verifier
from shared.events import (
    CandidateEvaluated,
    CandidateJudged,
    DatasetPublished,
    FrozenAdapter,
    ModelPromoted,
    ModelRolledBack,
    ShadowPairRecorded,
    Verdict,
    WorkloadAdded,
)
from shared.files import Files
from shared.model_server import ModelServerRefused, UnknownModel
from shared.workload import Promotion
from tests.servers.adapters import freeze_trained
from tests.servers.model import MODEL, lora_adapter
from tests.services.shadow_deployment.conftest import RunningService
from tests.services.shadow_deployment.example_events import CUTOFF, WORKLOAD, evaluated, rollback, workload
from tests.services.shadow_deployment.test_shadow import (
    Parrot,
    files,
    log_prediction,
    models,
    shadow_of,
    work_until_idle,
)
from tests.shared.adapters.keys import key_pair

__all__ = ["files", "models"]


def added_again(revision: int, hours_after_cutoff: float) -> WorkloadAdded:
    first = workload()
    prompt = {"prompt": f"{{text}}\nRevision {revision}:"}
    return first.model_copy(
        update={
            "revision": revision,
            "definition": first.definition.model_copy(update=prompt),
            "added_at": CUTOFF + timedelta(hours=hours_after_cutoff),
        }
    )


def of_old(files: Files, name: str, seed: int) -> FrozenAdapter:
    """As versions 0.1 and 0.2 froze them."""
    return files.freeze_adapter(name, lora_adapter(seed), MODEL)


async def contract_of(files: Files, models: Parrot, adapter: FrozenAdapter) -> AdapterContract:
    return await AdapterLoading(files, models).contract_of(adapter)


async def test_a_champion_gets_the_contract_it_was_trained_by_and_the_alias_moves_once(
    service: RunningService, models: Parrot, files: Files
) -> None:
    old = of_old(files, "first", 1)
    await service.handlers.on_workload_added(workload())
    await service.handlers.on_candidate_evaluated(evaluated("first", None, adapter_files=old))
    await service.handlers.on_workload_added(added_again(2, hours_after_cutoff=1))
    await work_until_idle(shadow_of(service, models, files))

    before, after = service.consumed(ModelPromoted)
    assert (before.champion, before.revision, after.revision) == (old, 1, 2)
    assert (after.champion.name, after.run_id, after.promoted_at) == (
        old.name,
        before.run_id,
        before.promoted_at,
    )
    assert after.champion.digest != old.digest
    contract = await contract_of(files, models, after.champion)
    assert (contract.revision, contract.prompt) == (1, workload().definition.prompt)
    assert (contract.dataset_id, contract.lora_r) == ("dataset-first", 4)
    weights = "adapter_model.safetensors"
    assert (files.adapter_folder(after.champion) / weights).read_bytes() == (
        files.adapter_folder(old) / weights
    ).read_bytes()
    published = await service.clickhouse.rows("SELECT * FROM contracted_adapters_v1")
    assert published == [
        {"workload": WORKLOAD, "adapter": old.name} | after.champion.model_dump(exclude={"name"})
    ]
    again = await service.restarted()
    await work_until_idle(shadow_of(again, models, files))
    assert again.consumed(ModelPromoted) == []


async def test_who_comes_back_by_a_rollback_comes_with_its_contract(
    service: RunningService, models: Parrot, files: Files
) -> None:
    first, second = of_old(files, "first", 1), of_old(files, "second", 2)
    await service.handlers.on_workload_added(workload())
    await service.handlers.on_candidate_evaluated(evaluated("first", None, adapter_files=first))
    event = evaluated("second", first.name, adapter_files=second)
    await service.handlers.on_candidate_evaluated(event)
    await promote(service, event)
    await work_until_idle(shadow_of(service, models, files))
    assert service.consumed(ModelPromoted)[-1].champion.name == second.name

    await service.handlers.on_rollback_requested(rollback())
    [back] = service.consumed(ModelRolledBack)
    assert (back.champion.name, back.withdrawn) == (first.name, second.name)
    assert (await contract_of(files, models, back.champion)).dataset_id == "dataset-first"
    await work_until_idle(shadow_of(service, models, files))
    await service.handlers.on_rollback_requested(rollback("request-2"))
    assert service.consumed(ModelRolledBack) == [back], "there is nobody before the first"


async def promote(service: RunningService, candidate: CandidateEvaluated) -> None:
    await service.judging._settle(candidate, Verdict.PROMOTE, "it is better", Promotion())


async def test_a_candidate_that_waits_is_asked_by_its_contract_and_promoted_with_it(
    service: RunningService, models: Parrot, files: Files
) -> None:
    first, second = of_old(files, "first", 1), of_old(files, "second", 2)
    await service.handlers.on_workload_added(workload())
    await service.handlers.on_candidate_evaluated(evaluated("first", None, adapter_files=first))
    event = evaluated("second", first.name, adapter_files=second)
    await service.handlers.on_candidate_evaluated(event)
    await log_prediction(service, 1, first.name)
    await work_until_idle(shadow_of(service, models, files))
    [pair] = service.consumed(ShadowPairRecorded)
    assert (pair.champion, pair.candidate, pair.candidate_answer) == (first.name, second.name, "BSD")
    await promote(service, event)
    promoted = service.consumed(ModelPromoted)[-1].champion
    assert promoted.name == second.name
    assert (await contract_of(files, models, promoted)).dataset_id == "dataset-second"


async def test_what_is_signed_is_signed_with_its_contract(
    service: RunningService, models: Parrot, files: Files, tmp_path: Path
) -> None:
    private, public = key_pair(tmp_path)
    await service.handlers.on_workload_added(workload())
    old = of_old(files, "first", 1)
    await service.handlers.on_candidate_evaluated(evaluated("first", None, adapter_files=old))
    seal = sealing(str(private), Verifier(public))
    await ContractMigration(service.store, service.judging, service.workloads, files, models, seal).migrate()
    copy = service.consumed(ModelPromoted)[-1].champion
    assert await AdapterLoading(files, models, Verifier(public)).load(copy)


async def test_without_the_key_it_gets_none_where_nothing_unsigned_is_loaded(
    service: RunningService,
    models: Parrot,
    files: Files,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    seal = sealing("", Verifier(key_pair(tmp_path)[1]))
    await service.handlers.on_workload_added(workload())
    old = of_old(files, "first", 1)
    await service.handlers.on_candidate_evaluated(evaluated("first", None, adapter_files=old))
    await ContractMigration(service.store, service.judging, service.workloads, files, models, seal).migrate()
    assert [event.champion for event in service.consumed(ModelPromoted)] == [old]
    assert f"{old.name} gets no contract" in caplog.text
    assert "Set SHADOW_DEPLOYMENT_SIGNING_KEY to that of retraining" in caplog.text


@pytest.mark.parametrize("fault", ["unreadable", "another's"])
async def test_a_signing_key_that_is_wrong_is_named_by_its_setting_and_waited_for(
    service: RunningService,
    models: Parrot,
    files: Files,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    (private, public), (theirs, _) = key_pair(tmp_path, "ours"), key_pair(tmp_path / "elsewhere", "theirs")
    right = private.read_text()
    private.write_text("no key" if fault == "unreadable" else theirs.read_text())
    await service.handlers.on_workload_added(workload())
    old = of_old(files, "first", 1)
    await service.handlers.on_candidate_evaluated(evaluated("first", None, adapter_files=old))
    seal = sealing(str(private), Verifier(public))
    contracts = ContractMigration(service.store, service.judging, service.workloads, files, models, seal)
    assert await contracts.migrate() is not None, "it is tried again"
    setting = "SHADOW_DEPLOYMENT_SIGNING_KEY"
    said = {
        "unreadable": f"{setting}: {private} is no unencrypted elliptic-curve key",
        "another's": f"ADAPTERS_PUBLIC_KEY does not hold the public key of {setting}={private}",
    }[fault]
    assert f"{old.name} has no contract yet, and cannot answer: {said}" in caplog.text
    assert "RETRAINING_SIGNING_KEY" not in caplog.text
    private.write_text(right)
    async with asyncio.timeout(5):
        while (pause := await contracts.migrate()) is not None:
            await asyncio.sleep(pause)
    copy = service.consumed(ModelPromoted)[-1].champion
    assert await AdapterLoading(files, models, Verifier(public)).load(copy)


async def test_a_wrong_key_makes_a_candidate_wait_and_stops_no_other_workloads_shadow(
    service: RunningService, models: Parrot, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    def wrong_key(folder: Path) -> None:
        raise CannotUseKeys("SHADOW_DEPLOYMENT_SIGNING_KEY: it is none")

    first, second = of_old(files, "first", 1), freeze_trained(files, "second", 2, workload())
    await service.handlers.on_workload_added(workload())
    await service.handlers.on_candidate_evaluated(evaluated("first", None, adapter_files=first, minutes=0))
    await service.handlers.on_candidate_evaluated(evaluated("second", None, adapter_files=second))
    shadow = shadow_of(service, models, files)
    shadow.contracts.sign = wrong_key
    await work_until_idle(shadow)
    assert [judged.candidate for judged in service.consumed(CandidateJudged)] == [first]
    assert f"{second.name} waits for its shadow: SHADOW_DEPLOYMENT_SIGNING_KEY: it is none" in caplog.text


async def test_a_champion_that_answers_while_it_waits_for_its_contract_is_not_lost(
    service: RunningService, models: Parrot, files: Files
) -> None:
    def wrong_key(folder: Path) -> None:
        raise CannotUseKeys("SHADOW_DEPLOYMENT_SIGNING_KEY: it is none")

    old = of_old(files, "first", 1)
    await service.handlers.on_workload_added(workload())
    await service.handlers.on_candidate_evaluated(evaluated("first", None, adapter_files=old))
    models.adapters.add(old.name)
    shadow = shadow_of(service, models, files)
    shadow.contracts.sign = wrong_key
    await work_until_idle(shadow)
    assert await service.store.lost_champion(WORKLOAD, old) == ""


async def test_an_adapter_whose_answers_are_not_one_token_on_this_server_gets_none_and_says_so(
    service: RunningService, models: Parrot, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    await service.handlers.on_workload_added(workload(answers={"MIT": " A", "BSD": " Berkeley Software"}))
    old = of_old(files, "first", 1)
    await service.handlers.on_candidate_evaluated(evaluated("first", None, adapter_files=old))
    await work_until_idle(shadow_of(service, models, files))
    assert [event.champion for event in service.consumed(ModelPromoted)] == [old]
    assert f"{old.name} has no contract yet" in caplog.text
    assert "Serve that, or train it anew" in caplog.text


@pytest.mark.parametrize("fault", ["another base", "another tokenizer", "it refuses", "its files are away"])
async def test_what_gets_no_contract_for_a_minute_gets_it_afterwards_without_a_restart(
    service: RunningService,
    models: Parrot,
    files: Files,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    old = of_old(files, "first", 1)
    await service.handlers.on_workload_added(workload())
    await service.handlers.on_candidate_evaluated(evaluated("first", None, adapter_files=old))
    tried: list[str] = []

    async def not_now(model: str, text: str) -> list[int]:
        tried.append(text)
        if fault == "another tokenizer":
            return [1, 2]
        raise UnknownModel(model) if fault == "another base" else ModelServerRefused("422")

    stored, away = tmp_path / "files" / old.uri, tmp_path / "away"
    with pytest.MonkeyPatch.context() as another_server:
        if fault == "its files are away":
            stored.rename(away)
        else:
            another_server.setattr(models, "tokenize", not_now)
        running = asyncio.create_task(shadow_of(service, models, files).run_for_ever())
        async with asyncio.timeout(30):
            while f"{old.name} has no contract yet, and cannot answer" not in caplog.text:
                await asyncio.sleep(0.05)
        await asyncio.sleep(1.0)
    assert len(tried) <= 5  # after 0, 0.2, 0.6, 1.4 and, on a busy machine, 3 s
    assert [event.champion for event in service.consumed(ModelPromoted)] == [old]
    if away.exists():
        away.rename(stored)
    async with asyncio.timeout(30):
        while len(service.consumed(ModelPromoted)) < 2:
            await asyncio.sleep(0.05)
    assert not running.done()
    running.cancel()
    copy = service.consumed(ModelPromoted)[-1].champion
    assert (await contract_of(files, models, copy)).dataset_id == "dataset-first"


async def test_what_can_get_none_is_tried_again_when_its_workload_is_added_again(
    service: RunningService, models: Parrot, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    old = of_old(files, "first", 1)
    of_another_base = added_again(1, hours_after_cutoff=-2)
    definition = of_another_base.definition.model_copy(update={"base_model": "another-model"})
    await service.handlers.on_workload_added(of_another_base.model_copy(update={"definition": definition}))
    await service.handlers.on_candidate_evaluated(evaluated("first", None, adapter_files=old))
    shadow = shadow_of(service, models, files)
    for _ in range(3):
        service.wake.set()
        await work_until_idle(shadow)
    assert caplog.text.count("no revision of licences has its base model") == 1
    await service.handlers.on_workload_added(added_again(2, hours_after_cutoff=-1))
    await work_until_idle(shadow)
    copy = service.consumed(ModelPromoted)[-1].champion
    assert (await contract_of(files, models, copy)).revision == 2


def test_the_revision_is_the_dataset_s_own_or_the_one_in_force_at_the_cutoff() -> None:
    revisions = [
        workload(),
        added_again(2, hours_after_cutoff=-1),
        added_again(3, hours_after_cutoff=1),
    ]
    cycle = evaluated()
    assert trained_revision(revisions, cycle) == revisions[1]
    dataset_id = DatasetPublished.id_of_revision(WORKLOAD, 3)
    assert trained_revision(revisions, cycle.model_copy(update={"dataset_id": dataset_id})) == revisions[2]
    assert trained_revision(revisions[2:], cycle) == revisions[2]
    other = cycle.candidate.model_copy(update={"base_model": "another"})
    assert trained_revision(revisions, cycle.model_copy(update={"candidate": other})) is None
