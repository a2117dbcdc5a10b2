"""The shadow at work: on the real model server, and where it needs none."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from services.shadow_deployment.candidate_waits import CandidateWaits
from services.shadow_deployment.champion_check import ChampionCheck
from services.shadow_deployment.contract_migration import ContractMigration
from services.shadow_deployment.settings import Settings
from services.shadow_deployment.shadow import Shadow
from services.shadow_deployment.unpaired_requests import UnpairedRequests
from shared.adapters.loading import AdapterLoading
from shared.adapters.signature import Verifier
from shared.events import CandidateEvaluated, CandidateJudged, ModelPromoted, ShadowPairRecorded, Verdict
from shared.files import Files
from shared.model_server import (
    ModelServer,
    ModelServerDown,
    ModelServerRefused,
    Prove,
    Scored,
    ServerLimits,
    UnknownModel,
)
from shared.workload import Promotion
from tests.servers.adapters import freeze_trained, token_ids
from tests.servers.model import MODEL, free_port, lora_adapter, model_server
from tests.servers.planted_adapters import PLANTED, planted
from tests.services.shadow_deployment.conftest import RunningService
from tests.services.shadow_deployment.example_events import (
    CUTOFF,
    WORKLOAD,
    adapter,
    corrected,
    evaluated,
    scorecard,
    workload,
)
from tests.shared.adapters.keys import key_pair, sign

[B] = token_ids(" B")


class Parrot(ModelServer):
    """A model server in memory whose adapters always answer " B", as the real one keeps and forgets them."""

    def __init__(self) -> None:
        super().__init__("http://nowhere")
        self.adapters: set[str] = set()
        self.asked: list[str] = []

    async def base_models(self) -> dict[str, int]:
        return {MODEL: 2048}

    async def limits(self) -> ServerLimits:
        return ServerLimits()

    async def loaded(self) -> set[str]:
        return {MODEL} | self.adapters

    async def load_adapter(
        self, name: str, folder: Path, base_model: str | None = None, prove: Prove | None = None
    ) -> None:
        if prove is not None:
            await prove(self)
        assert folder.name.startswith(name)  # the checked files of this adapter and no other
        self.adapters.add(name)

    async def unload_adapter(self, name: str) -> None:
        self.adapters.discard(name)

    async def tokenize(self, model: str, text: str) -> list[int]:
        return token_ids(text)

    async def score(self, model: str, prompt: str, allowed: Sequence[int]) -> Scored:
        if model not in self.adapters:
            raise UnknownModel(model)
        self.asked.append(prompt)
        return Scored({token: 0.0 if token == B else -3.0 for token in allowed}, 8)


@pytest.fixture
def models() -> Parrot:
    return Parrot()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files((tmp_path / "files").as_uri(), tmp_path / "cache")


def shadow_of(
    service: RunningService,
    models: ModelServer,
    files: Files,
    most_waiting: int = 1000,
    verifier: Verifier | None = None,
) -> Shadow:
    settings = Settings(batch=4, rest_per_work=0, most_waiting=most_waiting)
    loading = AdapterLoading(files, models, verifier)
    contracts = ContractMigration(service.store, service.judging, service.workloads, files, models, sign=None)
    return Shadow(
        service.store,
        UnpairedRequests(service.clickhouse),
        service.publish,
        lambda: service.now,
        service.workloads,
        service.judging,
        models,
        loading,
        contracts,
        ChampionCheck(service.store, service.workloads, loading, contracts, lambda: service.now),
        settings,
        service.wake,
    )


async def candidate_beside_champion(
    service: RunningService, files: Files, promotion: Promotion | None = None
) -> CandidateEvaluated:
    first, second = (
        freeze_trained(files, name, seed, workload()) for name, seed in (("first", 1), ("second", 2))
    )
    await service.handlers.on_workload_added(workload(promotion))
    await service.handlers.on_candidate_evaluated(evaluated("first", None, adapter_files=first, minutes=0))
    event = evaluated("second", first.name, adapter_files=second)
    await service.handlers.on_candidate_evaluated(event)
    return event


async def log_prediction(
    service: RunningService, number: int, champion: str, at: datetime | None = None
) -> None:
    row = {
        "prediction_id": f"prediction-{number:04}",
        "predicted_at": at or CUTOFF + timedelta(seconds=number),
        "workload": WORKLOAD,
        "adapter": champion,
        "input": f"Permission is hereby granted, free of charge, to person number {number}",
        "answer": "MIT",
        "confidence": 0.7,
    }
    await service.clickhouse.insert("predictions_v1", [row])
    arrived = {name: row[name] for name in ("prediction_id", "workload", "adapter", "predicted_at")}
    moment = service.now + timedelta(milliseconds=number)
    await service.clickhouse.insert("arrivals_v1", [arrived | {"arrived_at": moment}])


async def count(service: RunningService) -> int:
    return len(await service.store.pairs(WORKLOAD, "run-second"))


async def work_until_idle(shadow: Shadow) -> None:
    while await shadow.work_once():
        continue


async def test_only_requests_after_the_cut_that_the_champion_answered_become_pairs_once_and_in_order(
    service: RunningService, models: Parrot, files: Files
) -> None:
    candidate = await candidate_beside_champion(service, files)
    champion = str(candidate.champion)
    for number in (5, 3, 1, 2, 4):
        await log_prediction(service, number, champion)
    await log_prediction(service, 6, champion, at=CUTOFF)  # training may have seen it
    await log_prediction(service, 7, "another-adapter")
    shadow = shadow_of(service, models, files)

    await shadow.work_once()
    first_batch = [pair.prediction_id for pair in service.consumed(ShadowPairRecorded)]
    assert first_batch == [f"prediction-{number:04}" for number in (1, 2, 3, 4)]
    await work_until_idle(shadow)
    pairs = service.consumed(ShadowPairRecorded)
    assert len(pairs) == 5
    assert pairs == await service.store.pair_events(WORKLOAD, candidate.run_id)
    assert {(pair.champion, pair.champion_answer) for pair in pairs} == {(champion, "MIT")}
    assert {pair.candidate_answer for pair in pairs} == {"BSD"}
    assert len(models.asked) == 5
    assert models.asked[0].endswith("person number 1\nLicence:")


async def test_a_renamed_label_makes_no_pair_differ_though_each_model_answers_by_its_own_name(
    service: RunningService, models: Parrot, files: Files
) -> None:
    before = workload(answers={"MIT": " B", "BSD": " A", "GPL": " C"})
    definition = before.definition.model_copy(
        update={"labels": ("Expat", "BSD", "GPL"), "renamed": {"MIT": "Expat"}}
    )
    renamed = before.model_copy(
        update={"revision": 2, "definition": definition, "answers": {"Expat": " B", "BSD": " A", "GPL": " C"}}
    )
    first = freeze_trained(files, "first", 1, before)
    second = freeze_trained(files, "second", 2, before)
    for added in (before, renamed):
        await service.handlers.on_workload_added(added)
    await service.handlers.on_candidate_evaluated(evaluated("first", None, adapter_files=first, minutes=0))
    await service.handlers.on_candidate_evaluated(evaluated("second", first.name, adapter_files=second))
    await log_prediction(service, 1, first.name)  # it answered MIT, as it was trained
    await work_until_idle(shadow_of(service, models, files))
    [pair] = service.consumed(ShadowPairRecorded)
    assert (pair.champion_answer, pair.candidate_answer, pair.differs) == ("Expat", "Expat", False)


async def test_the_candidate_is_asked_by_its_own_contract_whatever_the_newest_definition_says(
    service: RunningService, models: Parrot, files: Files
) -> None:
    trained_by = workload(answers={"MIT": " B", "BSD": " A", "GPL": " C"})
    newest = workload(answers={"GPL": " B", "MIT": " C", "BSD": " A"})
    definition = newest.definition.model_copy(update={"prompt": "Whose licence is this? {text}"})
    newest = newest.model_copy(update={"revision": 2, "definition": definition})
    first, second = (freeze_trained(files, name, seed, trained_by) for name, seed in (("1", 1), ("2", 2)))
    for added in (trained_by, newest):
        await service.handlers.on_workload_added(added)
    await service.handlers.on_candidate_evaluated(evaluated("first", None, adapter_files=first, minutes=0))
    await service.handlers.on_candidate_evaluated(evaluated("second", first.name, adapter_files=second))
    await log_prediction(service, 1, first.name)
    await work_until_idle(shadow_of(service, models, files))
    [pair] = service.consumed(ShadowPairRecorded)
    [prompt] = models.asked
    assert prompt.startswith("Permission is")
    assert prompt.endswith("person number 1\nLicence:")
    assert pair.candidate_answer == "MIT"  # by the newest tokens it would be GPL


async def test_a_model_server_that_forgot_the_candidate_gets_it_again(
    service: RunningService, models: Parrot, files: Files
) -> None:
    candidate = await candidate_beside_champion(service, files)
    shadow = shadow_of(service, models, files)
    await log_prediction(service, 1, str(candidate.champion))
    await work_until_idle(shadow)
    models.adapters.clear()
    await log_prediction(service, 2, str(candidate.champion))
    await shadow.work_once()  # finds out
    await work_until_idle(shadow)
    assert len(service.consumed(ShadowPairRecorded)) == 2


async def test_after_a_kill_the_next_life_says_stored_pairs_again_and_scores_only_the_rest(
    service: RunningService, models: Parrot, files: Files
) -> None:
    candidate = await candidate_beside_champion(service, files)
    for number in (1, 2):
        await log_prediction(service, number, str(candidate.champion))
    await work_until_idle(shadow_of(service, models, files))
    await log_prediction(service, 3, str(candidate.champion))

    other = await service.restarted()
    await work_until_idle(shadow_of(other, models, files))
    published_before, published_after = (
        service.consumed(ShadowPairRecorded),
        other.consumed(ShadowPairRecorded),
    )
    assert published_after[:2] == published_before
    assert [pair.prediction_id for pair in published_after[2:]] == ["prediction-0003"]


async def test_what_was_held_is_unloaded_and_the_champion_is_not_touched(
    service: RunningService, models: Parrot, files: Files
) -> None:
    candidate = await candidate_beside_champion(service, files, Promotion(max_hours=2))
    shadow = shadow_of(service, models, files)
    models.adapters.add(str(candidate.champion))
    await work_until_idle(shadow)
    assert candidate.candidate.name in await models.loaded()
    service.now = CUTOFF + timedelta(hours=3)
    await work_until_idle(shadow)  # holds it
    await work_until_idle(shadow)  # and unloads it
    assert service.consumed(CandidateJudged)[-1].verdict is Verdict.HOLD
    assert candidate.candidate.name not in await models.loaded()
    assert str(candidate.champion) in await models.loaded()


async def test_pairs_end_at_max_pairs(service: RunningService, models: Parrot, files: Files) -> None:
    candidate = await candidate_beside_champion(service, files, Promotion(max_pairs=5))
    for number in range(1, 9):
        await log_prediction(service, number, str(candidate.champion))
    await work_until_idle(shadow_of(service, models, files))
    assert await count(service) == 5


async def test_no_new_pairs_while_reviewers_fall_behind_but_forgotten_pairs_hold_nothing_up(
    service: RunningService, models: Parrot, files: Files
) -> None:
    candidate = await candidate_beside_champion(service, files)
    for number in range(1, 21):
        await log_prediction(service, number, str(candidate.champion))
    shadow = shadow_of(service, models, files, most_waiting=3)
    await work_until_idle(shadow)
    assert await count(service) == 4
    await service.correct(corrected("prediction-0001", "GPL"), corrected("prediction-0002", "GPL"))
    await work_until_idle(shadow)
    assert await count(service) == 8
    service.now += timedelta(minutes=11)
    await work_until_idle(shadow)
    assert await count(service) == 12


async def test_the_shadow_promotes_by_itself_when_the_corrections_came_first(
    service: RunningService, models: Parrot, files: Files
) -> None:
    candidate = await candidate_beside_champion(service, files)
    for number in range(1, 13):
        await log_prediction(service, number, str(candidate.champion))
        await service.correct(corrected(f"prediction-{number:04}", "BSD"))
    await work_until_idle(shadow_of(service, models, files))
    assert service.consumed(ModelPromoted)[-1].champion == candidate.candidate


async def test_once_round_on_the_real_model_server(service: RunningService, files: Files) -> None:
    candidate = await candidate_beside_champion(service, files, Promotion(max_hours=2))
    name = candidate.candidate.name
    with model_server() as url:
        async with ModelServer(url) as models:
            shadow = shadow_of(service, models, files)
            for number in (1, 2):
                await log_prediction(service, number, str(candidate.champion))
            await work_until_idle(shadow)
            assert name in await models.loaded()

            await models.unload_adapter(name)
            await log_prediction(service, 3, str(candidate.champion))
            await shadow.work_once()  # finds out that it is gone
            await work_until_idle(shadow)
            pairs = service.consumed(ShadowPairRecorded)
            assert len(pairs) == 3
            assert {pair.candidate_answer for pair in pairs} <= {"MIT", "BSD", "GPL"}
            assert all(1 / 3 <= pair.candidate_confidence <= 1 for pair in pairs)

            service.now = CUTOFF + timedelta(hours=3)
            await work_until_idle(shadow)  # holds it
            await work_until_idle(shadow)  # and unloads it
            assert name not in await models.loaded()


@pytest.mark.parametrize("fault", ["its key was removed", "its files changed", "it is gone", "none"])
async def test_a_candidate_without_champion_is_judged_alone_only_if_the_champion_s_files_condemn_it(
    service: RunningService, models: Parrot, files: Files, tmp_path: Path, fault: str
) -> None:
    (private, public), (old_key, _) = key_pair(tmp_path, "ours"), key_pair(tmp_path / "before", "old")
    key = old_key if fault == "its key was removed" else private
    first = freeze_trained(files, "first", 1, workload(), before_freezing=partial(sign, private_key=key))
    second = freeze_trained(
        files, "second", 2, workload(), before_freezing=partial(sign, private_key=private)
    )
    stored = tmp_path / "files" / first.uri
    if fault == "its files changed":
        (stored / "README.md").write_text("Changed in the store.")
    elif fault == "it is gone":
        shutil.rmtree(stored)
    await service.handlers.on_workload_added(workload())
    await service.handlers.on_candidate_evaluated(evaluated("first", None, adapter_files=first, minutes=0))
    await service.handlers.on_candidate_evaluated(evaluated("second", None, adapter_files=second))
    shadow = shadow_of(service, models, files, verifier=Verifier(public))
    await work_until_idle(shadow)
    if fault == "it is gone":
        assert len(service.consumed(CandidateJudged)) == 1, "it may be away for a while"
        service.now += timedelta(minutes=10)
        await until_judged(service, shadow, 2)
    judged, promoted = service.consumed(CandidateJudged)[-1], service.consumed(ModelPromoted)[-1]
    if fault == "none":
        assert judged.verdict is Verdict.HOLD
        assert judged.reason.startswith(
            f"Its champion changed: it was evaluated against none, and {first.name}"
        )
        assert promoted.champion == first
    else:
        assert judged.verdict is Verdict.PROMOTE
        assert judged.reason.startswith(f"{first.name}, the champion, is refused: ")
        assert "So it is judged alone. On held-out rows the candidate is right on" in judged.reason
        assert (promoted.champion, promoted.previous) == (second, first)


async def test_a_champion_that_gets_its_contract_by_migration_is_not_refused_for_having_had_none(
    service: RunningService, models: Parrot, files: Files
) -> None:
    first = files.freeze_adapter("first", lora_adapter(1), MODEL)
    second = freeze_trained(files, "second", 2, workload())
    await service.handlers.on_workload_added(workload())
    await service.handlers.on_candidate_evaluated(evaluated("first", None, adapter_files=first, minutes=0))
    await service.handlers.on_candidate_evaluated(evaluated("second", None, adapter_files=second))
    await work_until_idle(shadow_of(service, models, files))
    assert service.consumed(CandidateJudged)[-1].verdict is Verdict.HOLD


@pytest.mark.parametrize("fault", ["another base", "it refuses", "no contract for now"])
@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_candidate_is_judged_alone_if_the_model_server_goes_on_not_taking_the_champion(
    service: RunningService,
    models: Parrot,
    files: Files,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    comes_back: bool,
) -> None:
    first = freeze_trained(files, "first", 1, workload())
    if fault == "no contract for now":
        first = files.freeze_adapter("first", lora_adapter(1), MODEL)
    second = freeze_trained(files, "second", 2, workload())
    card = scorecard().model_copy(update={"champion_refused": "another server was there."})
    await service.handlers.on_workload_added(workload())
    await service.handlers.on_candidate_evaluated(evaluated("first", None, adapter_files=first, minutes=0))
    await service.handlers.on_candidate_evaluated(evaluated("second", None, adapter_files=second, card=card))
    shadow = shadow_of(service, models, files)
    with pytest.MonkeyPatch.context() as another_server:
        if fault == "another base":
            another_server.setattr(models, "base_models", _gives({"another-model": 2048}))
        elif fault == "it refuses":
            another_server.setattr(models, "load_adapter", _refuses)
        else:
            another_server.setattr(models, "tokenize", _gives([1, 2]))
        for _ in range(5):
            await shadow.work_once()
        assert len(service.consumed(CandidateJudged)) == 1  # the champion's
        assert f"{second.name} waits for its shadow: " in caplog.text
        if not comes_back:
            service.now = CUTOFF + timedelta(minutes=11)
        await until_judged(service, shadow, 1 if comes_back else 2)
    await until_judged(service, shadow, 2)
    judged = service.consumed(CandidateJudged)[-1]
    if comes_back:
        assert judged.verdict is Verdict.HOLD
        assert judged.reason == (
            f"It was compared with nobody: another server was there. Now {first.name} can be asked. "
            "Start a cycle to train against it."
        )
    else:
        assert judged.verdict is Verdict.PROMOTE
        assert judged.reason.startswith(f"{first.name}, the champion, is refused: ")


async def until_judged(service: RunningService, shadow: Shadow, verdicts: int) -> None:
    async with asyncio.timeout(30):
        while len(service.consumed(CandidateJudged)) < verdicts:
            await shadow.work_once()
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("fault", ["other files", "no files"])
async def test_without_the_files_that_were_evaluated_the_candidate_is_rejected(
    service: RunningService, models: Parrot, files: Files, fault: str
) -> None:
    frozen = freeze_trained(files, "second", 2, workload())
    await service.with_champion()
    broken = adapter(frozen.name, uri=frozen.uri if fault == "other files" else f"{frozen.uri}-gone")
    await service.handlers.on_candidate_evaluated(evaluated("second", adapter_files=broken))
    shadow = shadow_of(service, models, files)
    await shadow.work_once()
    if fault == "no files":
        (waits,) = await waiting(service)
        assert waits["why"].startswith("adapter second"), "they may be away for a while"
        service.now += timedelta(minutes=10)
        await until_judged(service, shadow, 2)
    judged = service.consumed(CandidateJudged)[-1]
    assert judged.verdict is Verdict.REJECT
    assert judged.reason.startswith("Its files are not those that were evaluated: adapter second")
    assert models.adapters == set()


@pytest.mark.parametrize("fault", ["another base", "a lower rank", "it refuses"])
async def test_a_candidate_that_the_model_server_does_not_take_for_a_minute_waits_for_one_that_does(
    service: RunningService, models: Parrot, files: Files, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    candidate = await candidate_beside_champion(service, files)
    await log_prediction(service, 1, str(candidate.champion))
    shadow = shadow_of(service, models, files)
    with pytest.MonkeyPatch.context() as another_server:
        if fault == "another base":
            another_server.setattr(models, "base_models", _gives({"another-model": 2048}))
        elif fault == "a lower rank":
            another_server.setattr(models, "limits", _gives(ServerLimits(max_lora_rank=1)))
        else:
            another_server.setattr(models, "load_adapter", _refuses)
        began = service.now
        for _ in range(20):
            await shadow.work_once()
            if service.now == began:
                service.now += timedelta(minutes=1)
    assert len(service.consumed(CandidateJudged)) == 1  # the champion's
    (waits,) = await waiting(service)
    assert waits["since"] == service.now - timedelta(
        minutes=1
    )  # however often it was tried since, or why not
    assert waits["why"]
    said = len([line for line in caplog.messages if "waits for its shadow" in line])
    assert 1 <= said <= 4  # at once, after 1, 3 and 7 s: twenty looks take that long on a busy machine
    async with asyncio.timeout(5):
        while not service.consumed(ShadowPairRecorded):
            await shadow.work_once()
            await asyncio.sleep(0.05)
    assert await waiting(service) == []


async def waiting(service: RunningService) -> list[dict[str, Any]]:
    """What is published of candidates that wait for the model server."""
    rows = await service.clickhouse.rows("SELECT * FROM shadow_waits_v1")
    return [row | {"since": row["since"].replace(tzinfo=UTC)} for row in rows]


def _gives(value: object) -> Callable[..., Awaitable[object]]:
    async def give(*_: object) -> object:
        return value

    return give


async def _refuses(*_: object) -> None:
    raise ModelServerRefused("400: LoRA rank 4 is greater than max_lora_rank 1")


async def test_whoever_waits_for_a_model_server_that_is_down_is_told_so_until_it_answers(
    service: RunningService, models: Parrot, files: Files
) -> None:
    candidate = await candidate_beside_champion(service, files)
    await log_prediction(service, 1, str(candidate.champion))

    async def is_down() -> set[str]:
        raise ModelServerDown("nobody answers at http://nowhere")

    with pytest.MonkeyPatch.context() as down:
        down.setattr(models, "loaded", is_down)
        running = asyncio.create_task(shadow_of(service, models, files).run_for_ever())
        async with asyncio.timeout(10):
            while not (waits := await waiting(service)):
                await asyncio.sleep(0.05)
        assert [(one["run_id"], one["why"]) for one in waits] == [
            (candidate.run_id, "nobody answers at http://nowhere")
        ]
    async with asyncio.timeout(10):
        while not service.consumed(ShadowPairRecorded):
            await asyncio.sleep(0.05)
    assert await waiting(service) == []
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_candidate_that_is_judged_waits_no_more(
    service: RunningService, models: Parrot, files: Files
) -> None:
    candidate = await candidate_beside_champion(service, files)
    waits = CandidateWaits(service.store, lambda: service.now)
    await waits.note(candidate, "it is down")
    began = service.now
    service.now += timedelta(hours=1)
    after_a_restart = CandidateWaits(service.store, lambda: service.now)
    await after_a_restart.note(candidate, "it serves another base model")
    (one,) = await waiting(service)
    assert (one["since"], one["why"]) == (began, "it serves another base model")
    await service.judging.reject(candidate, "A test.", Promotion())
    assert await waiting(service) == []


async def test_a_model_server_that_is_down_costs_nothing_but_time(
    service: RunningService, files: Files
) -> None:
    await candidate_beside_champion(service, files)
    async with ModelServer(f"http://127.0.0.1:{free_port()}") as models:
        shadow = shadow_of(service, models, files)
        with pytest.raises(ModelServerDown):
            await shadow.work_once()
    assert service.wake.is_set()  # tidying is still wanted
    assert len(service.consumed(CandidateJudged)) == 1  # the champion's: the candidate is not judged for it


@pytest.mark.parametrize("name", PLANTED)
async def test_a_candidate_that_is_not_ours_is_rejected_with_the_reason_and_never_asked(
    service: RunningService, models: Parrot, files: Files, tmp_path: Path, name: str
) -> None:
    (ours, public), (theirs, _) = key_pair(tmp_path, "ours"), key_pair(tmp_path / "elsewhere", "theirs")
    plant, why = planted(ours, theirs)[name]
    frozen = freeze_trained(files, "second", 2, workload(), before_freezing=plant)
    await service.with_champion()
    await service.handlers.on_candidate_evaluated(evaluated("second", adapter_files=frozen))
    await shadow_of(service, models, files, verifier=Verifier(public)).work_once()
    judged = service.consumed(CandidateJudged)[-1]
    assert judged.verdict is Verdict.REJECT
    assert why in judged.reason
    assert frozen.name not in models.adapters
