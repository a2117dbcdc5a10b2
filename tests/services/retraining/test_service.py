"""The service on real tables, files, child processes and a model server: from a dataset to a scorecard."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.retraining.app import build
from services.retraining.candidate_evaluation import evaluate_candidate
from services.retraining.examiner import Examiner
from services.retraining.handlers import NotHereYet
from services.retraining.job_messages import EvaluateResult, EvaluateTask
from services.retraining.questions import Answer, Question
from services.retraining.settings import Settings
from services.retraining.store import RunStore
from shared.adapters.contract import CONTRACT_FILE, AdapterContract
from shared.adapters.label_contract import LabelContract
from shared.adapters.loading import AdapterLoading
from shared.adapters.refusals import AnotherBase
from shared.adapters.signature import Verifier
from shared.addresses import Addresses
from shared.clickhouse import ClickHouse
from shared.events import (
    CandidateEvaluated,
    CandidateTrained,
    DatasetCounts,
    DatasetPublished,
    Event,
    FrozenAdapter,
    FrozenFile,
    ModelPromoted,
    RunCancelRequested,
    TrainingFailed,
    TrainingProgressed,
    TrainingRequested,
    WorkloadAdded,
)
from shared.files import Files
from shared.flow import FLOW
from shared.job_protocol import JobProgress, Refused
from shared.migrations import migrate
from shared.model_server import ModelServer, ModelServerRefused, PromptTooLong, Scored, UnknownModel
from shared.service import Service, ServiceContext
from shared.workload import Training, Workload
from tests.servers.adapters import contract_of, freeze_trained
from tests.servers.model import MODEL, ROOT, base_model_folder, lora_adapter, model_server
from tests.servers.views import views_as_tables
from tests.services.retraining.tiny_base_model import tiny_base_model
from tests.services.workloads.test_label_words import DISEASES, words
from tests.shared.adapters.keys import key_pair, sign

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def models_url() -> Iterator[str]:
    with model_server("--max-loras", "2") as url:
        yield url


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files((tmp_path / "files").as_uri(), tmp_path / "cache")


def rows(files: Files, name: str, count: int) -> FrozenFile:
    made = [
        {
            "text": f"{name} {'refund' if number % 2 else 'parcel'} {number}",
            "label": "ab"[number % 2],
            "prediction_id": None,
        }
        for number in range(count)
    ]
    return files.freeze_rows(name, made)


def workload_added(files: Files) -> WorkloadAdded:
    workload = Workload(
        name="tickets",
        title="Tickets",
        prompt="{text}\nTopic:",
        labels=("a", "b"),
        training=Training(rank=4, batch_size=4, max_steps=1),
    )
    return WorkloadAdded(
        revision=1,
        definition=workload,
        answers={"a": " A", "b": " B"},
        rows=rows(files, "rows", 30),
        added_at=AT,
    )


def long_training(files: Files) -> WorkloadAdded:
    added = workload_added(files)
    training = Training(lora_r=4, batch_size=1, epochs=100, early_stopping_patience=0, seed=1)
    definition = added.definition.model_copy(update={"base_model": "tiny", "training": training})
    return added.model_copy(update={"definition": definition})


def dataset(files: Files, version: int, train_rows: int = 4) -> DatasetPublished:
    return DatasetPublished(
        dataset_id=f"d{version}",
        workload="tickets",
        version=version,
        cycle_id=None if version == 1 else f"c{version}",
        cutoff=AT,
        train=rows(files, "train", train_rows),
        golden=rows(files, "golden", 4),
        held_out=rows(files, "held-out", 6),
        manifest=rows(files, "manifest", 1),
        counts=DatasetCounts(),
        published_at=AT,
    )


def trained(files: Files, candidate: FrozenAdapter, version: int) -> CandidateTrained:
    published = dataset(files, version)
    return CandidateTrained(
        run_id=f"r{version}",
        workload="tickets",
        dataset_id=published.dataset_id,
        cycle_id=published.cycle_id,
        cutoff=AT,
        candidate=candidate,
        method="lora",
        steps=1,
        train_rows=4,
        final_loss=1.0,
        seconds=1.0,
        trained_at=AT,
    )


async def test_what_was_answered_once_is_not_asked_again(models_url: str, files: Files) -> None:
    added = workload_added(files)
    first, second = (freeze_trained(files, f"t-v{seed}", seed, added) for seed in (1, 2))
    published: list[dict[str, Any]] = []

    async def evaluate(**task: Any) -> Any:
        published.clear()
        async with ModelServer(models_url) as models:
            return await evaluate_candidate(
                EvaluateTask(added=added, **task),
                AdapterLoading(files, models),
                Settings(),
                lambda row: published.append(row.model_dump()),
            )

    one = await evaluate(
        run_id="r1", dataset=dataset(files, 1), trained=trained(files, first, 1), champion=None, known=[]
    )
    everything = 6 + 4 + 3 * 4
    assert (
        published[-1]["done"] == published[-1]["total"] == everything + 6
    )  # the candidate's, and the base model's
    assert {answers.model for answers in one.answers} == {first.digest, MODEL}

    two = await evaluate(
        run_id="r2",
        dataset=dataset(files, 2),
        trained=trained(files, second, 2),
        champion=first,
        known=one.answers,
    )
    assert published[-1]["total"] == everything
    assert two.evaluated.champion == first.name
    assert two.evaluated.scorecard.champion == one.evaluated.scorecard.held_out
    assert two.evaluated.scorecard.base_model == one.evaluated.scorecard.base_model
    judged = list(files.rows(two.evaluated.answers))
    assert len(judged) == everything
    assert set(judged[0]) == {"axis", "row", "right_answer", "base", "champion", "candidate"}
    before = list(files.rows(one.evaluated.answers))
    assert [row["champion"] for row in judged] == [row["candidate"] for row in before]
    async with ModelServer(models_url) as models:
        assert second.name in await models.loaded()


async def test_each_is_asked_by_its_own_contract_and_compared_under_the_names_of_now(
    models_url: str, files: Files
) -> None:
    """A label renamed, one more, other tokens, another prompt: the champion answers as it was trained."""
    before = workload_added(files)
    first = freeze_trained(files, "t-v1", 1, before)
    renamed = before.definition.model_copy(
        update={"prompt": "Topic of {text}:", "labels": ("new", "b", "alpha"), "renamed": {"a": "alpha"}}
    )
    after = before.model_copy(
        update={
            "revision": 2,
            "definition": renamed,
            "answers": {"new": " A", "alpha": " B", "b": " C"},
        }
    )
    second = freeze_trained(files, "t-v2", 2, after)

    async def evaluate(added: WorkloadAdded, **task: Any) -> Any:
        async with ModelServer(models_url) as models:
            return await evaluate_candidate(
                EvaluateTask(added=added, **task),
                AdapterLoading(files, models),
                Settings(),
                lambda row: None,
            )

    one = await evaluate(
        before,
        run_id="r1",
        dataset=dataset(files, 1),
        trained=trained(files, first, 1),
        champion=None,
        known=[],
    )
    two = await evaluate(
        after,
        run_id="r2",
        dataset=dataset(files, 2),
        trained=trained(files, second, 2),
        champion=first,
        known=[],
    )
    name = {"a": "alpha", "b": "b"}
    rows = [
        (had, has)
        for had, has in zip(files.rows(one.evaluated.answers), files.rows(two.evaluated.answers), strict=True)
        if not had["axis"].endswith("distraction")  # its texts name a label
    ]
    assert [has["champion"] for _, has in rows] == [name[had["candidate"]] for had, _ in rows]
    assert [has["right_answer"] for _, has in rows] == [name[had["right_answer"]] for had, _ in rows]
    card = two.evaluated.scorecard
    assert card.champion == one.evaluated.scorecard.held_out
    assert card.champion_lacks == ["new"]
    assert [label.label for label in card.labels] == ["new", "b", "alpha"]
    renamed_meanwhile = await evaluate(
        after,
        run_id="r3",
        dataset=dataset(files, 3),
        trained=trained(files, first, 3),
        champion=None,
        known=[],
    )
    assert renamed_meanwhile.evaluated.scorecard.held_out == one.evaluated.scorecard.held_out


@pytest.mark.parametrize(
    "fault", ["its key was removed", "its files changed", "it has no contract", "it is gone"]
)
async def test_a_champion_that_its_own_files_condemn_does_not_stop_the_candidate(
    models_url: str, files: Files, tmp_path: Path, fault: str
) -> None:
    added = workload_added(files)
    (private, public), (old_key, _) = key_pair(tmp_path, "ours"), key_pair(tmp_path / "before", "old")
    key = old_key if fault == "its key was removed" else private
    champion = freeze_trained(files, "t-v1", 1, added, before_freezing=partial(sign, private_key=key))
    stored = tmp_path / "files" / champion.uri
    if fault == "its files changed":
        (stored / "README.md").write_text("Changed in the store.")
    elif fault == "it has no contract":
        bare = tmp_path / "bare"
        shutil.copytree(lora_adapter(1), bare)
        sign(bare, private)
        champion = files.freeze_adapter("t-v1", bare, MODEL)
    elif fault == "it is gone":
        shutil.rmtree(stored)
    second = freeze_trained(files, "t-v2", 2, added, before_freezing=partial(sign, private_key=private))
    async with ModelServer(models_url) as models:
        result = await evaluate_candidate(
            EvaluateTask(
                run_id="r2",
                added=added,
                dataset=dataset(files, 2),
                trained=trained(files, second, 2),
                champion=champion,
                known=[],
            ),
            AdapterLoading(files, models, Verifier(public)),
            Settings(),
            lambda row: None,
        )
        assert champion.name not in await models.loaded()
    card = result.evaluated.scorecard
    assert (result.evaluated.champion, card.champion, card.golden_difference) == (None, None, None)
    assert champion.name in card.champion_refused
    assert card.compared_on == (
        f"Compared with nobody, because the champion is refused: {card.champion_refused}"
    )


def against(files: Files, champion: FrozenAdapter, **more: Any) -> EvaluateTask:
    added = workload_added(files)
    return EvaluateTask(
        run_id="r2",
        added=added,
        dataset=dataset(files, 2),
        trained=trained(files, freeze_trained(files, "t-v2", 2, added), 2),
        champion=champion,
        **{"known": []} | more,
    )


@pytest.mark.parametrize("is_known", [False, True])
async def test_a_champion_that_the_model_server_does_not_take_for_good_does_not_stop_the_candidate(
    models_url: str, files: Files, is_known: bool
) -> None:
    """Though its answers may be known: it gives none in the shadow."""
    added = workload_added(files)
    elsewhere = added.definition.model_copy(update={"base_model": "another-model"})
    champion = freeze_trained(files, "t-v1", 1, added.model_copy(update={"definition": elsewhere}))
    champion = champion.model_copy(update={"base_model": "another-model"})
    async with ModelServer(models_url) as models:
        loading, settings = AdapterLoading(files, models), Settings(patience_seconds=0)
        result = await evaluate_candidate(against(files, champion), loading, settings, lambda row: None)
        if is_known:
            candidates = next(one for one in result.answers if one.model != MODEL)
            known = [candidates.model_copy(update={"model": champion.digest})]
            task = against(files, champion, known=known)
            result = await evaluate_candidate(task, loading, settings, lambda row: None)
    card = result.evaluated.scorecard
    assert (result.evaluated.champion, card.champion, card.champion_lacks) == (None, None, [])
    assert f"was trained on another-model, and the model server serves {MODEL}" in card.champion_refused
    assert champion.digest not in {one.model for one in result.answers}


async def test_a_champion_that_the_model_server_does_not_take_for_a_moment_is_waited_for(
    models_url: str, files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    champion = freeze_trained(files, "t-v1", 1, workload_added(files))
    async with ModelServer(models_url) as models:
        served, asked = models.base_models, 0

        async def changing() -> dict[str, int]:
            nonlocal asked
            asked += 1  # for the candidate, for its base model's context, and then for the champion
            return {"another-model": 2048} if asked == 3 else await served()

        monkeypatch.setattr(models, "base_models", changing)
        loading = AdapterLoading(files, models)
        said: list[JobProgress] = []
        result = await evaluate_candidate(against(files, champion), loading, Settings(), said.append)
    assert (result.evaluated.champion, result.evaluated.scorecard.champion_refused) == (champion.name, "")
    waited, gone_on, *_ = said
    assert "the model server serves another-model" in waited.waits_for
    assert waited.waits_since is not None
    assert (gone_on.done, gone_on.waits_since, gone_on.waits_for) == (1, None, "")
    assert "the evaluation waits, for 120 s at most" in caplog.text
    assert "the model server serves another-model" in caplog.text


async def test_a_candidate_whose_base_model_is_served_no_more_is_refused_with_what_to_do(
    models_url: str, files: Files
) -> None:
    added = workload_added(files)
    elsewhere = added.definition.model_copy(update={"base_model": "another-model"})
    candidate = freeze_trained(files, "t-v1", 1, added.model_copy(update={"definition": elsewhere}))
    candidate = candidate.model_copy(update={"base_model": "another-model"})
    task = EvaluateTask(
        run_id="r1",
        added=added,
        dataset=dataset(files, 1),
        trained=trained(files, candidate, 1),
        champion=None,
        known=[],
    )
    async with ModelServer(models_url) as models:
        loading, settings = AdapterLoading(files, models), Settings(patience_seconds=0)
        with pytest.raises(AnotherBase, match="Serve its base model, or train on that one"):
            await evaluate_candidate(task, loading, settings, lambda row: None)


@pytest.mark.parametrize("fault", ["lost", "changed"])
async def test_a_model_whose_earlier_answers_are_lost_is_asked_again(
    models_url: str, files: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    champion = freeze_trained(files, "t-v1", 1, workload_added(files))
    async with ModelServer(models_url) as models:
        loading = AdapterLoading(files, models)
        before = await evaluate_candidate(against(files, champion), loading, Settings(), lambda row: None)
        known = [one for one in before.answers if one.model in (champion.digest, MODEL)]
        for one in known:
            stored = tmp_path / "files" / one.file.uri
            stored.unlink() if fault == "lost" else stored.write_text("{}\n")
        caplog.clear()
        task = against(files, champion, known=known)
        after = await evaluate_candidate(task, loading, Settings(), lambda row: None)
    assert after.evaluated.scorecard == before.evaluated.scorecard
    assert {one.model for one in after.answers} == {one.model for one in before.answers}
    said = [record.message for record in caplog.records if "is asked again" in record.message]
    assert [line.partition(" ")[0] for line in said] == [champion.digest, MODEL]


class Forgetful(ModelServer):
    """Forgets one adapter after three answers, and takes it no more."""

    def __init__(self, url: str, adapter: str) -> None:
        super().__init__(url)
        self._adapter, self._left = adapter, 3

    async def score(self, model: str, prompt: str, allowed: Sequence[int]) -> Scored:
        if model == self._adapter:
            if self._left == 0:
                raise UnknownModel(model)
            self._left -= 1
        return await super().score(model, prompt, allowed)

    async def loaded(self) -> set[str]:
        return await super().loaded() - {self._adapter}

    async def load_adapter(self, name: str, *others: Any) -> None:
        if name == self._adapter and self._left == 0:
            raise ModelServerRefused("400: LoRA rank 4 is greater than max_lora_rank 2")
        await super().load_adapter(name, *others)


async def test_a_champion_that_is_lost_halfway_is_compared_with_nothing_and_counts_for_nothing(
    models_url: str, files: Files
) -> None:
    champion = freeze_trained(files, "t-v1", 1, workload_added(files))
    said: list[JobProgress] = []
    async with Forgetful(models_url, champion.name) as models:
        result = await evaluate_candidate(
            against(files, champion),
            AdapterLoading(files, models),
            Settings(patience_seconds=0, at_once=2),
            said.append,
        )
    assert result.evaluated.scorecard.champion_refused.startswith("400: LoRA rank 4")
    assert {one.model for one in result.answers} == {MODEL, result.evaluated.candidate.digest}
    everything = 6 + 4 + 3 * 4
    assert (said[-1].done, said[-1].total) == (everything + 6, everything + 6)


async def test_a_text_too_long_for_the_way_it_is_asked_has_no_answer(models_url: str, files: Files) -> None:
    own = LabelContract.of(contract_of(workload_added(files)))
    longer = replace(own, before="Read this with care. " * 4000)
    question = Question("held_out", 0, "where is my parcel", "a")
    async with ModelServer(models_url) as models:
        examiner = Examiner(AdapterLoading(files, models), 1, 0.0, lambda: None, lambda why: None)
        [answer] = await examiner.answers([question], MODEL, own)
        assert answer.label in own.token_of
        assert await examiner.answers([question], MODEL, longer) == [Answer(None, 0.0)]


class Told(ModelServer):
    """The server, with another context perhaps; it keeps how the base model was asked."""

    def __init__(self, url: str, context: int) -> None:
        super().__init__(url)
        self._context = context
        self.prompts: list[str] = []

    async def base_models(self) -> dict[str, int]:
        return {name: min(context, self._context) for name, context in (await super().base_models()).items()}

    async def score(self, model: str, prompt: str, allowed: Sequence[int]) -> Scored:
        if model == MODEL:
            self.prompts.append(prompt)
        return await super().score(model, prompt, allowed)


@pytest.mark.parametrize("context", [8192, 300])
async def test_of_150_labels_the_base_model_is_told_the_words_or_the_scorecard_says_that_it_is_told_none(
    models_url: str, files: Files, context: int
) -> None:
    added = workload_added(files)
    answers = words(DISEASES[:150])
    definition = added.definition.model_copy(update={"labels": tuple(answers)})
    added = added.model_copy(update={"definition": definition, "answers": answers})
    made = [{"text": f"It hurts, {n}", "label": list(answers)[n], "prediction_id": None} for n in range(6)]
    held_out = files.freeze_rows("held-out", made)
    task = EvaluateTask(
        run_id="r1",
        added=added,
        dataset=dataset(files, 1).model_copy(update={"held_out": held_out, "golden": held_out}),
        trained=trained(files, freeze_trained(files, "t-v1", 1, added), 1),
        champion=None,
        known=[],
    )
    async with Told(models_url, context) as models:
        result = await evaluate_candidate(task, AdapterLoading(files, models), Settings(), lambda row: None)
    card = result.evaluated.scorecard
    assert card.base_model.n == len(models.prompts) == 6
    listed = ", ".join(answer.strip() for answer in answers.values())
    if context == 8192:
        assert all(prompt.startswith(f"Answer with one of these:\n{listed}\n\n") for prompt in models.prompts)
        assert (card.base_model_untold, card.about_base_model) == (False, "")
    else:
        assert set(models.prompts) == {f"{row['text']}\nTopic:" for row in made}
        assert card.base_model_untold
        assert "asked without a list of its labels" in card.about_base_model


class LessRoom(ModelServer):
    """The server, with no room for what names a refund in the prompt of one adapter."""

    def __init__(self, url: str, adapter: str) -> None:
        super().__init__(url)
        self._adapter = adapter

    async def score(self, model: str, prompt: str, allowed: Sequence[int]) -> Scored:
        if model == self._adapter and "refund" in prompt.lower():
            raise PromptTooLong
        return await super().score(model, prompt, allowed)


async def test_a_text_too_long_for_the_champion_s_own_prompt_is_asked_by_no_other_and_compares_nothing(
    models_url: str, files: Files
) -> None:
    added = workload_added(files)
    first = freeze_trained(files, "t-v1", 1, added)
    longer = added.definition.model_copy(update={"prompt": "Read with care.\n{text}\nTopic:"})
    after = added.model_copy(update={"revision": 2, "definition": longer})
    second = freeze_trained(files, "t-v2", 2, after)

    async def evaluate(no_room_for: FrozenAdapter) -> EvaluateResult:
        async with LessRoom(models_url, no_room_for.name) as models:
            return await evaluate_candidate(
                EvaluateTask(
                    run_id="r2",
                    added=after,
                    dataset=dataset(files, 2),
                    trained=trained(files, second, 2),
                    champion=first,
                    known=[],
                ),
                AdapterLoading(files, models),
                Settings(),
                lambda row: None,
            )

    result = await evaluate(no_room_for=first)
    card = result.evaluated.scorecard
    rows = list(files.rows(result.evaluated.answers))
    unanswered = [row for row in rows if row["champion"] is None]
    assert card.champion_too_long == len(unanswered) > 0
    assert {row["right_answer"] for row in unanswered if row["axis"] in ("held_out", "golden")} == {"b"}
    assert card.champion is not None
    assert card.held_out_difference is not None
    assert (card.held_out.n, card.champion.n, card.held_out_difference.n) == (6, 3, 3)
    assert card.compared_on.endswith(f"judge the candidate alone: {len(unanswered)}.")
    again = [one for one in result.answers if one.model == first.digest]
    assert [row["label"] for row in files.rows(again[0].file)].count(None) == len(unanswered)

    with pytest.raises(Refused, match="are too long for the candidate's own prompt"):
        await evaluate(no_room_for=second)


class PublishedEvents:
    def __init__(self) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.progressed: list[TrainingProgressed] = []

    async def __call__(self, *events: Event) -> None:
        for event in events:
            await self.events.put(event)
            if isinstance(event, TrainingProgressed) and event.done:
                self.progressed.append(event)

    async def next(self) -> Event:
        """What is published next that is no progress."""
        while True:
            event = await asyncio.wait_for(self.events.get(), timeout=300)
            if not isinstance(event, TrainingProgressed):
                return event


@pytest.fixture
async def stage(
    clickhouse: ClickHouse,
    database_url: str,
    tmp_path: Path,
    files: Files,
    models_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[tuple[Service, PublishedEvents]]:
    for name, value in {
        "CLICKHOUSE_URL": database_url,
        "FILES_URI": (tmp_path / "files").as_uri(),
        "STATE_FOLDER": str(tmp_path),
        "MODELS_URL": models_url,
        "BASE_MODELS": str(base_model_folder().parent),
        "HF_HUB_OFFLINE": "1",
        "RETRAINING_SIGNING_KEY": str(key_pair(tmp_path)[0]),
    }.items():
        monkeypatch.setenv(name, value)
    published = PublishedEvents()
    context = ServiceContext(
        Addresses(),
        published,
        clickhouse,
        files,
        ModelServer(models_url),
        lambda: AT,
        CollectorRegistry(),
        tmp_path,
    )
    service = build(context)
    await migrate(clickhouse, "retraining")
    running = asyncio.gather(*(work() for work in service.background))
    yield service, published
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def apply(service: Service, event: Event) -> None:
    handler = service.consumes[type(event)]
    assert callable(handler)
    await handler(event)


async def test_a_dataset_becomes_an_evaluated_candidate(
    stage: tuple[Service, PublishedEvents], files: Files, clickhouse: ClickHouse, tmp_path: Path
) -> None:
    service, published = stage
    assert set(service.consumes) == FLOW["retraining"].consumes
    champion = freeze_trained(files, "t-v1", 1, workload_added(files))
    await apply(service, workload_added(files))
    await apply(
        service,
        ModelPromoted(
            workload="tickets", revision=1, champion=champion, previous=None, run_id="r0", promoted_at=AT
        ),
    )
    second = dataset(files, 2)
    await apply(service, second)
    await apply(service, second)
    candidate = await published.next()
    assert isinstance(candidate, CandidateTrained)
    assert (candidate.dataset_id, candidate.cycle_id, candidate.train_rows) == ("d2", "c2", 4)
    Verifier(tmp_path / "public").verify(files.adapter_folder(candidate.candidate))
    evaluated = await published.next()
    assert isinstance(evaluated, CandidateEvaluated)
    assert (evaluated.run_id, evaluated.champion) == (candidate.run_id, champion.name)
    (run,) = await clickhouse.rows("SELECT * FROM runs_v1")
    assert (run["state"], run["candidate"], run["steps"]) == ("evaluated", candidate.candidate.name, 1)
    (card,) = await clickhouse.rows("SELECT * FROM scorecards_v1")
    assert card["scorecard"] == evaluated.scorecard.model_dump_json()
    known = await RunStore(clickhouse).answers_of([candidate.candidate.digest, champion.digest, MODEL])
    assert {one.model for one in known} == {candidate.candidate.digest, champion.digest, MODEL}
    assert not (tmp_path / candidate.run_id).exists()

    broken = dataset(files, 3)
    (tmp_path / "files" / broken.train.uri).unlink()
    await apply(service, broken)
    failed = await published.next()
    assert isinstance(failed, TrainingFailed)
    assert failed.dataset_id == "d3"
    states = await clickhouse.rows("SELECT dataset_id, state, reason FROM runs_v1 ORDER BY dataset_id")
    assert states == [
        {"dataset_id": "d2", "state": "evaluated", "reason": ""},
        {"dataset_id": "d3", "state": "failed", "reason": failed.reason},
    ]


def requested(request_id: str, **changes: Any) -> TrainingRequested:
    event = TrainingRequested(
        request_id=request_id,
        workload="tickets",
        revision=1,
        dataset_id="d2",
        training=Training(lora_r=2, batch_size=4, max_steps=1, seed=9),
        requested_by="ada",
        reason="a test",
        requested_at=AT,
    )
    return event.model_copy(update=changes)


def with_another_prompt(added: WorkloadAdded) -> WorkloadAdded:
    """The next revision, which whoever asked for a training of this one knew nothing of."""
    edited = added.definition.model_copy(update={"prompt": "{text}\nAbout:"})
    return added.model_copy(update={"revision": added.revision + 1, "definition": edited})


def cancelled(run_id: str) -> RunCancelRequested:
    return RunCancelRequested(
        run_id=run_id, workload="tickets", reason="the wrong rows", requested_by="ada", requested_at=AT
    )


async def test_a_training_that_is_asked_for_becomes_a_run_of_its_own_on_the_same_dataset(
    stage: tuple[Service, PublishedEvents], files: Files, clickhouse: ClickHouse
) -> None:
    service, published = stage
    await apply(service, workload_added(files))
    with pytest.raises(NotHereYet):
        await apply(service, requested("q1"))
    await apply(service, dataset(files, 2))
    with pytest.raises(NotHereYet):
        await apply(service, requested("q1", revision=2))
    await apply(service, with_another_prompt(workload_added(files)))
    await apply(service, requested("q1"))
    await apply(service, requested("q1"))
    made = [await published.next() for _ in range(4)]
    by_itself, asked = [event for event in made if isinstance(event, CandidateTrained)]
    evaluated = [event.run_id for event in made if isinstance(event, CandidateEvaluated)]
    assert evaluated == [by_itself.run_id, asked.run_id]
    assert asked.run_id == requested("q1").run_id != by_itself.run_id
    assert asked.candidate.name != by_itself.candidate.name
    contract = AdapterContract.read((files.adapter_folder(asked.candidate) / CONTRACT_FILE).read_bytes())
    assert (contract.revision, contract.prompt) == (1, workload_added(files).definition.prompt)
    runs = {row["run_id"]: row for row in await clickhouse.rows("SELECT * FROM runs_v1")}
    assert [runs[one.run_id]["requested_by"] for one in (by_itself, asked)] == ["", "ada"]
    assert json.loads(runs[asked.run_id]["training"])["seed"] == 9
    adapters = await clickhouse.rows("SELECT * FROM adapters_v1 ORDER BY trained_at")
    assert [row["name"] for row in adapters] == [by_itself.candidate.name, asked.candidate.name]
    newest = adapters[1]
    assert (newest["method"], json.loads(newest["plan"])["lora_r"]) == ("lora", 2)
    assert (newest["rows_seen"], newest["warnings"]) == (asked.rows_seen, list(asked.warnings))
    for stored in (newest, runs[asked.run_id]):
        assert stored["peak_memory_gb"] == asked.peak_memory_gb is not None
        assert stored["estimated_memory_gb"] == asked.estimated_memory_gb is not None


async def test_a_dataset_is_trained_by_the_revision_it_was_made_of_though_that_comes_later(
    stage: tuple[Service, PublishedEvents], files: Files
) -> None:
    service, published = stage
    first, later = workload_added(files), AT + timedelta(minutes=1)
    second = with_another_prompt(first).model_copy(update={"added_at": later})
    made_of_second = dataset(files, 1).model_copy(update={"cutoff": later})
    await apply(service, first)
    with pytest.raises(NotHereYet):
        await apply(service, made_of_second)
    await apply(service, second)
    await apply(service, made_of_second)
    candidate = await published.next()
    assert isinstance(candidate, CandidateTrained)
    contract = AdapterContract.read((files.adapter_folder(candidate.candidate) / CONTRACT_FILE).read_bytes())
    assert (contract.revision, contract.prompt) == (2, second.definition.prompt)


async def test_a_run_that_is_cancelled_fails_within_seconds_and_leaves_nothing(
    stage: tuple[Service, PublishedEvents],
    files: Files,
    clickhouse: ClickHouse,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service, published = stage
    tiny_base_model(tmp_path / "bases" / "tiny")
    monkeypatch.setenv("BASE_MODELS", str(tmp_path / "bases"))
    await apply(service, long_training(files))
    await apply(service, dataset(files, 2, train_rows=500))  # 50,000 steps: minutes at least
    run_id = DatasetPublished.run_of("d2")
    async with asyncio.timeout(240):
        while not published.progressed:
            await asyncio.sleep(0.05)
    await apply(service, cancelled(run_id))
    async with asyncio.timeout(5):
        failed = await published.next()
    assert isinstance(failed, TrainingFailed)
    assert (failed.run_id, failed.reason) == (run_id, "cancelled by ada: the wrong rows")
    (run,) = await clickhouse.rows("SELECT state, reason FROM runs_v1")
    assert run == {"state": "failed", "reason": failed.reason}
    async with asyncio.timeout(5):
        while (tmp_path / run_id).exists():
            await asyncio.sleep(0.05)
    assert not (tmp_path / "files" / "adapters").exists()

    await apply(service, cancelled(requested("q1").run_id))  # before the run itself comes
    await apply(service, requested("q1"))
    early = await published.next()
    assert isinstance(early, TrainingFailed)
    assert early.run_id == requested("q1").run_id


def retired(added: WorkloadAdded) -> WorkloadAdded:
    return added.model_copy(update={"revision": added.revision + 1, "added_at": AT, "retired_at": AT})


async def test_a_run_of_a_workload_that_is_retired_ends_before_it_begins(
    stage: tuple[Service, PublishedEvents], files: Files, clickhouse: ClickHouse
) -> None:
    service, published = stage
    for event in (workload_added(files), retired(workload_added(files)), dataset(files, 2), requested("q1")):
        await apply(service, event)
    for run_id in (DatasetPublished.run_of("d2"), requested("q1").run_id):
        failed = await published.next()
        assert isinstance(failed, TrainingFailed)
        assert (failed.run_id, failed.reason) == (run_id, "cancelled: the workload is retired")
    runs = await clickhouse.rows("SELECT state, steps FROM runs_v1")
    assert runs == [{"state": "failed", "steps": 0}] * 2


async def test_a_run_ends_when_its_workload_is_retired(
    stage: tuple[Service, PublishedEvents], files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, published = stage
    tiny_base_model(tmp_path / "bases" / "tiny")
    monkeypatch.setenv("BASE_MODELS", str(tmp_path / "bases"))
    long = long_training(files)
    await apply(service, long)
    await apply(service, dataset(files, 2, train_rows=500))  # 50,000 steps: minutes at least
    async with asyncio.timeout(240):
        while not published.progressed:
            await asyncio.sleep(0.05)
    await apply(service, retired(long))
    async with asyncio.timeout(5):
        failed = await published.next()
    assert isinstance(failed, TrainingFailed)
    assert failed.reason == "cancelled: the workload is retired"


async def test_adapters_of_earlier_versions_are_found_in_the_results_of_their_jobs(
    clickhouse: ClickHouse, files: Files, tmp_path: Path
) -> None:
    earlier = tmp_path / "earlier"
    (earlier / "migrations").mkdir(parents=True)
    for file in sorted((ROOT / "services" / "retraining" / "migrations").glob("000[1-4]_*.sql")):
        shutil.copy(file, earlier / "migrations")
    await migrate(clickhouse, "retraining", earlier)
    made = trained(files, files.freeze_adapter("t", lora_adapter(1), MODEL), 1)
    result = json.dumps({"trained": made.model_dump(mode="json")})
    of_both = {"kind": "train", "workload": "tickets", "task": "{}", "state": "published", "wanted_at": AT}
    await clickhouse.insert(
        "retraining_jobs",
        [
            {**of_both, "job_id": "r1", "result": result, "error": ""},
            {**of_both, "job_id": "r2", "result": "", "error": "no rows"},
        ],
    )
    await migrate(clickhouse, "retraining")
    (row,) = await clickhouse.rows("SELECT * FROM adapters_v1")
    assert await RunStore(clickhouse).adapters("tickets", ["none", made.candidate.name]) == (made.candidate,)
    assert (row["name"], row["digest"]) == (made.candidate.name, made.candidate.digest)
    assert (row["run_id"], row["train_rows"], row["rows_seen"]) == ("r1", 4, None)
    assert row["trained_at"].replace(tzinfo=UTC) == made.trained_at


async def test_a_fusion_finds_its_workloads_adapters_by_name_in_the_order_they_are_named(
    clickhouse: ClickHouse, files: Files
) -> None:
    await migrate(clickhouse, "retraining")
    await views_as_tables(clickhouse, "shadow_deployment")
    store = RunStore(clickhouse)
    known = [files.freeze_adapter(f"t{seed}", lora_adapter(seed), MODEL) for seed in (1, 2)]
    for adapter in known:
        await store.evaluating(trained(files, adapter, 1), Training(), "")
    names = [known[1].name, "no-such-adapter", known[0].name]
    assert await store.adapters("tickets", names) == (known[1], known[0])
    assert await store.adapters("another", names) == ()
    assert await store.adapters("tickets", ()) == ()

    copy = known[0].model_copy(update={"uri": "adapters/copy", "digest": "sha256:" + "1" * 64})
    row = {"workload": "tickets", "adapter": copy.name} | copy.model_dump(exclude={"name"})
    await clickhouse.insert("contracted_adapters_v1", [row])
    assert await store.adapters("tickets", names) == (known[1], copy), "the one that has a contract"


async def test_a_run_never_goes_back(clickhouse: ClickHouse, files: Files) -> None:
    await migrate(clickhouse, "retraining")
    store = RunStore(clickhouse)
    adapter = files.freeze_adapter("t", lora_adapter(1), MODEL)
    await store.evaluating(trained(files, adapter, 1), Training(), "")
    await store.training("r1", dataset(files, 1), Training(), "", AT)
    (run,) = await clickhouse.rows("SELECT state FROM runs_v1")
    assert run["state"] == "evaluating"
