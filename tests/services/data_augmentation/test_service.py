"""The service on real tables, files and child processes: what it publishes, and what lies behind it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.data_augmentation.app import build
from shared.addresses import Addresses
from shared.clickhouse import ClickHouse
from shared.events import (
    DatasetPublished,
    DatasetRefused,
    Event,
    FailureClustersFound,
    FrozenFile,
    WorkloadAdded,
)
from shared.files import Files
from shared.flow import FLOW
from shared.migrations import migrate
from shared.model_server import ModelServer
from shared.service import Service, ServiceContext
from shared.workload import Privacy, Review, Split, Workload
from tests.servers.s3 import BUCKET, s3_server
from tests.servers.views import views_as_tables

START = datetime(2026, 11, 24, 10, tzinfo=UTC)
TOPICS = {
    "billing": "invoice number {} shows the wrong amount, contact me at person{}@example.org",
    "delivery": "parcel number {} never came to the office, contact me at person{}@example.org",
}


class PublishedEvents:
    """What the service published, for whoever waits for it."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()

    async def __call__(self, *events: Event) -> None:
        for event in events:
            await self.events.put(event)

    async def next(self) -> Event:
        return await asyncio.wait_for(self.events.get(), timeout=60)


class Stage:
    def __init__(
        self, service: Service, files: Files, published: PublishedEvents, clickhouse: ClickHouse
    ) -> None:
        self.service, self.files, self.published, self.clickhouse = service, files, published, clickhouse

    async def apply(self, event: Event) -> None:
        handler = self.service.consumes[type(event)]
        assert callable(handler)
        await handler(event)

    def texts(self, file: FrozenFile) -> list[str]:
        return [row["text"] for row in self.files.rows(file)]


@pytest.fixture
def files_uri(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A folder, or an object store where a test asks for one."""
    if getattr(request, "param", "folder") == "folder":
        yield (tmp_path / "files").as_uri()
        return
    with s3_server() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield f"s3://{BUCKET}/files"


@pytest.fixture
async def stage(
    clickhouse: ClickHouse,
    database_url: str,
    tmp_path: Path,
    files_uri: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Stage]:
    for name, value in {
        "CLICKHOUSE_URL": database_url,
        "FILES_URI": files_uri,
        "STATE_FOLDER": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    files, published = Files(files_uri, tmp_path / "cache"), PublishedEvents()
    service = build(
        ServiceContext(
            Addresses(),
            published,
            clickhouse,
            files,
            ModelServer(""),
            lambda: START,
            CollectorRegistry(),
            tmp_path,
        )
    )
    await views_as_tables(clickhouse, "prediction_logging")
    await migrate(clickhouse, "data_augmentation")
    (work,) = service.background
    running = asyncio.ensure_future(work())
    yield Stage(service, files, published, clickhouse)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def added(files: Files, revision: int = 1, **changes: Any) -> WorkloadAdded:
    rows = [
        {"text": text.format(number, number), "label": label}
        for number in range(30)
        for label, text in TOPICS.items()
    ]
    workload = Workload(
        name="tickets",
        title="Tickets",
        prompt="{text}\nTopic:",
        labels=tuple(TOPICS),
        split=Split(golden=10, held_out=12),
        credit="Made up.",
        **changes,
    )
    return WorkloadAdded(
        revision=revision,
        definition=workload,
        answers={"billing": " billing", "delivery": " delivery"},
        rows=files.freeze_rows("rows", rows),
        added_at=START,
    )


async def cycle(stage: Stage, cycle_id: str, inputs: dict[str, tuple[str, str]]) -> FailureClustersFound:
    """A cycle whose corrections are prediction id → (what the user wrote, right answer)."""
    predictions = [
        {"workload": "tickets", "prediction_id": key, "input": text} for key, (text, _) in inputs.items()
    ]
    await stage.clickhouse.insert("predictions_v1", predictions)
    corrections = [
        {"prediction_id": key, "predicted_at": START.isoformat(), "right_answer": label}
        for key, (_, label) in inputs.items()
    ]
    return FailureClustersFound(
        cycle_id=cycle_id,
        workload="tickets",
        cutoff=START + timedelta(hours=1),
        clusters=[],
        failures=stage.files.freeze_rows("failures", []),
        corrections=stage.files.freeze_rows("corrections", corrections),
        found_at=START + timedelta(hours=1),
    )


async def test_it_consumes_what_the_flow_says(stage: Stage) -> None:
    assert set(stage.service.consumes) == FLOW["data_augmentation"].consumes


@pytest.mark.parametrize("files_uri", ["folder", "s3"], indirect=True)
async def test_a_workload_and_its_corrections_become_redacted_dataset_versions(stage: Stage) -> None:
    workload = added(stage.files)
    await stage.apply(workload)
    first = await stage.published.next()
    assert isinstance(first, DatasetPublished)
    assert (first.version, first.cycle_id, first.cutoff) == (1, None, START)
    assert (first.golden.rows, first.held_out.rows, first.train.rows) == (10, 12, 38)
    everything = [*stage.texts(first.train), *stage.texts(first.golden), *stage.texts(first.held_out)]
    assert all(text.endswith("contact me at <EMAIL_ADDRESS>") for text in everything)
    assert first.counts.redacted_values == 60

    golden = next(iter(stage.files.rows(first.golden)))
    other = {"billing": "delivery", "delivery": "billing"}
    found = await cycle(
        stage,
        "cycle-1",
        {
            "new": ("They charged Margaret Hamilton twice for one order.", "billing"),
            "leak": (
                golden["text"].replace("<EMAIL_ADDRESS>", "someone@example.net"),
                other[golden["label"]],
            ),
            "no-label": ("The parcel is wet.", "complaint"),
        },
    )
    await stage.apply(found)
    await stage.apply(found)
    second = await stage.published.next()
    assert isinstance(second, DatasetPublished)
    assert (second.version, second.cycle_id, second.cutoff) == (2, "cycle-1", found.cutoff)
    assert (second.golden, second.held_out) == (first.golden, first.held_out)
    assert second.counts.model_dump() == {
        "seed": 38,
        "corrected": 1,
        "duplicates": 0,
        "leaks_blocked": 1,
        "invalid": 1,
        "redacted_values": 62,
    }
    assert "They charged <PERSON> twice for one order." in stage.texts(second.train)
    (manifest,) = stage.files.rows(second.manifest)
    assert manifest["parent"] == {"dataset_id": first.dataset_id, "train": first.train.digest}
    assert manifest["labels"]["billing"]["after"] == manifest["labels"]["billing"]["before"] + 1
    assert manifest["redaction"]["applied_to"] == ["train", "golden", "held_out"]

    await stage.apply(workload)
    await stage.apply(await cycle(stage, "cycle-2", {"gone": ("", "billing")}))
    refused = await stage.published.next()
    assert isinstance(refused, DatasetRefused)
    assert refused.cycle_id == "cycle-2"
    assert "none of 1 corrections" in refused.reason

    rows = await stage.clickhouse.rows("SELECT * FROM datasets_v1 ORDER BY version")
    assert [(row["dataset_id"], row["version"], row["leaks_blocked"]) for row in rows] == [
        (first.dataset_id, 1, 0),
        (second.dataset_id, 2, 1),
    ]
    refusals = await stage.clickhouse.rows("SELECT cycle_id, reason FROM dataset_refusals_v1")
    assert refusals == [{"cycle_id": "cycle-2", "reason": refused.reason}]


async def test_where_names_cannot_be_found_nothing_is_published(stage: Stage) -> None:
    await stage.apply(added(stage.files, language="de"))
    refused = await stage.published.next()
    assert isinstance(refused, DatasetRefused)
    assert "PERSON" in refused.reason


async def test_a_dead_redactor_means_no_dataset(stage: Stage, tmp_path: Path, monkeypatch: Any) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "presidio_analyzer.py").write_text("raise ImportError('broken on purpose')")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    monkeypatch.setattr("shared.jobs.execution.RETRY_SECONDS", 0.0)
    await stage.apply(added(stage.files))
    refused = await stage.published.next()
    assert isinstance(refused, DatasetRefused)
    assert "while loading the redactor" in refused.reason
    assert await stage.clickhouse.rows("SELECT 1 FROM datasets_v1") == []


async def test_what_a_library_prints_is_never_taken_for_the_job_s_answer(
    stage: Stage, tmp_path: Path, monkeypatch: Any
) -> None:
    chatty = tmp_path / "chatty"
    chatty.mkdir()
    (chatty / "sitecustomize.py").write_text("print('Welcome to this machine')")
    (chatty / "presidio_analyzer.py").write_text(
        "import os; print('Loading'); os.system('echo {}'); raise ImportError('broken on purpose')"
    )
    monkeypatch.setenv("PYTHONPATH", f"{chatty}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr("shared.jobs.execution.RETRY_SECONDS", 0.0)
    await stage.apply(added(stage.files))
    refused = await stage.published.next()
    assert isinstance(refused, DatasetRefused)
    assert "failed 3 times" in refused.reason


async def test_a_revision_that_changes_no_training_makes_no_dataset(stage: Stage) -> None:
    emails = Privacy(entities=("EMAIL_ADDRESS",))
    await stage.apply(added(stage.files, privacy=emails))
    assert isinstance(await stage.published.next(), DatasetPublished)
    await stage.apply(added(stage.files, revision=2, privacy=emails, review=Review(audit_share=0.2)))
    await stage.apply(added(stage.files, revision=3, privacy=Privacy(entities=("URL", "EMAIL_ADDRESS"))))
    third = await stage.published.next()
    assert isinstance(third, DatasetPublished)
    assert third.version == 2


async def test_a_renamed_label_s_rows_and_corrections_are_learnt_under_its_new_name(stage: Stage) -> None:
    first = added(stage.files)
    await stage.apply(first)
    before = await stage.published.next()
    assert isinstance(before, DatasetPublished)
    definition = first.definition.model_copy(
        update={"labels": ("invoice", "delivery"), "renamed": {"billing": "invoice"}}
    )
    answers = {"invoice": " billing", "delivery": " delivery"}
    renamed = first.model_copy(update={"revision": 2, "definition": definition, "answers": answers})
    await stage.apply(renamed)
    corrections = {"old": ("I was billed twice.", "billing"), "new": ("The bill is too high.", "invoice")}
    await stage.apply(await cycle(stage, "cycle-1", corrections))
    after = await stage.published.next()  # the rename alone made none
    assert isinstance(after, DatasetPublished)
    assert (after.golden, after.counts.corrected, after.counts.invalid) == (before.golden, 2, 0)
    assert {row["label"] for row in stage.files.rows(after.train)} == {"invoice", "delivery"}


async def test_what_names_a_removed_label_is_left_out(stage: Stage) -> None:
    first = added(stage.files)
    await stage.apply(first)
    await stage.published.next()
    definition = first.definition.model_copy(
        update={"labels": ("delivery", "other"), "removed": ("billing",)}
    )
    answers = {"delivery": " delivery", "other": " other"}
    await stage.apply(first.model_copy(update={"revision": 2, "definition": definition, "answers": answers}))
    published = await stage.published.next()
    assert isinstance(published, DatasetPublished)
    assert {row["label"] for row in stage.files.rows(published.train)} == {"delivery"}
